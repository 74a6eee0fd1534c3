"""The operations that members choose from: one family for each question, and all together.

Each family is bounded, so that the search ends: loans at a time, objects in hand, living members.
"""

from __future__ import annotations

from collections.abc import Iterator

from scamem.core.store import layout as L
from tests.explore import operations as O
from tests.explore import section_operations as T
from tests.explore.operations import NAME, Move, Pair
from tests.explore.world import Member
from tests.model.reference import HAND, IO, MAPPING, Key

CHILDREN_MAX = 3  # members that may be alive at once
HANDS_MAX = 2  # how often a member has one object in hand
LOANS_MAX = 2  # at once
Moves = Iterator[tuple[str, Move]]


def live(pair: Pair, member: Member) -> list[tuple[Key, dict[str, int]]]:
    """Return each LIVE object, and how often a member holds it."""
    objects = sorted(pair.model.objects.items())
    return [(key, obj.held.get(member.slot, {})) for key, obj in objects if obj.live]


def drops(pair: Pair, member: Member) -> Moves:
    for key, held in live(pair, member):
        for kind in (HAND, MAPPING, IO):
            if held.get(kind, 0):
                yield f"drop{key[0]}{kind}", O.let_go(key, kind)


def lending(pair: Pair, member: Member) -> Moves:
    """Lend, load, expire loans in transit, reclaim loans of held objects."""
    model = pair.model
    for key, held in live(pair, member):
        if held and len(model.loans) < LOANS_MAX:
            yield f"lend{key[0]}", O.lend(key)
    for number, (key, _) in sorted(model.loans.items()):
        if model.objects[key].held.get(member.slot, {}).get(HAND, 0) < HANDS_MAX:
            yield f"load{number}", O.load(key, number)
    if model.in_transit_any():
        yield "expire", O.expire
    if model.loans and not model.dead:  # a member that reclaims has reaped before
        yield "reclaim", O.reclaim


def naming(pair: Pair, member: Member) -> Moves:
    """Publish, also with a weak name; replace, get, unpublish."""
    model = pair.model
    for key, held in live(pair, member):
        if held and (model.names.get(NAME) != key or model.weak):
            yield f"publish{key[0]}", O.publish(key)
        if held and (model.names.get(NAME) != key or not model.weak):
            yield f"weaken{key[0]}", O.publish(key, weak=True)
    if NAME in model.names:
        held = model.objects[model.names[NAME]].held.get(member.slot, {})
        if held.get(HAND, 0) < HANDS_MAX:
            yield "get", O.get_name
        yield "unpublish", O.unpublish


def forking(pair: Pair, member: Member) -> Moves:
    slots = pair.world.geometry.slots_max - L.SLOT_FIRST
    if len(pair.living()) < CHILDREN_MAX and len(pair.world.members) < slots:
        yield "fork", O.fork


def leaving(pair: Pair, member: Member) -> Moves:
    """Close the arena, if other members remain."""
    if len(pair.living()) > 1:
        yield "leave", O.leave


def objects(pair: Pair, member: Member) -> Moves:
    """Objects and loans: allocate, map, let go, lend, load, expire, reclaim."""
    yield "alloc1", O.allocate(1)
    yield "alloc3", O.allocate(3)
    for key, held in live(pair, member):
        if held and held.get(MAPPING, 0) < 1:
            yield f"map{key[0]}", O.hold_again(key, MAPPING)
    yield from drops(pair, member)
    yield from lending(pair, member)


def areas(pair: Pair, member: Member) -> Moves:
    """Names and fork: allocate, publish, replace, get, unpublish, let go, fork, close."""
    yield "alloc2", O.allocate(2)
    yield from drops(pair, member)
    yield from naming(pair, member)
    yield from forking(pair, member)
    yield from leaving(pair, member)


def sections(pair: Pair, member: Member) -> Moves:
    """Memory that comes and goes: allocate, let go, online, offline, isolate, trim, populate."""
    yield "alloc1", O.allocate(1)
    yield "alloc3", O.allocate(3)
    yield from drops(pair, member)
    yield from changes(pair, member)


def changes(pair: Pair, member: Member) -> Moves:
    """Return, for each section, the changes that can be tried in its state."""
    model = pair.model
    for section in range(pair.world.geometry.sections):
        frames = T.frames_of(pair.world, section)
        if frames & model.online:
            yield f"trim{section}", T.trim(section)
            yield f"offline{section}", T.offline(section)
            yield f"isolate{section}", T.isolate(section)
            if frames - model.frames:
                yield f"populate{section}", T.populate(section)
                yield f"populate{section}part", T.populate(section, most=1)
                yield f"populate{section}fails", T.populate(section, memory=False)
        else:
            yield f"online{section}", T.online(section)
            yield f"online{section}part", T.online(section, blocks=1)
            yield f"online{section}fails", T.online(section, memory=False)
            if frames & model.perhaps:
                yield f"clear{section}", T.offline(section, kept=0)


def moving(pair: Pair, member: Member) -> Moves:
    """Frames that move or become unclean: I/O, grow, shrink, splice, migrate, lend."""
    model, slot = pair.model, member.slot
    yield "alloc2", O.allocate(2)
    yield from drops(pair, member)
    yield from lending(pair, member)
    for key, held in live(pair, member):
        if not held:
            continue
        if held.get(IO, 0) < 1:
            yield f"io{key[0]}", O.hold_again(key, IO)
        yield f"grow{key[0]}", O.grow(key)
        yield f"migrate{key[0]}", O.migrate(key)
        if len(model.objects[key].frames) > 1 and model.is_alone(slot, key):
            yield f"shrink{key[0]}", O.shrink(key, 1)
        for other in sorted(model.objects):
            if other != key and model.may_give(slot, other):
                yield f"splice{other[0]}to{key[0]}", O.splice(other, key)


def everything(pair: Pair, member: Member) -> Moves:
    """Every operation of every family."""
    families = (objects, areas, sections, moving)
    return iter(dict(move for family in families for move in family(pair, member)).items())
