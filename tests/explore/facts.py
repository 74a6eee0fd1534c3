"""What an arena's words say, in the reference model's terms, and where the two disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore.world import World
from tests.model.reference import HAND, IO, MAPPING, Key, Object, Reference


@dataclass
class Facts:
    """What the arena's words say, in the model's terms."""

    free: frozenset[int]
    objects: dict[Key, Object]
    wanted: dict[Key, int]
    names: dict[int, Key]
    weak: set[int]  # names that do not keep what they show
    loans: dict[int, tuple[Key, int | None]]
    going: frozenset[int]  # of the free frames: those still being given back
    online: frozenset[int]
    usable: frozenset[int]  # of the online frames: those that are not absent
    unpunched: frozenset[int]  # frames that a trim would take memory from
    changing: int | None  # slot of the member that changes a section


def sections(arena: Any, mine: Any) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    """Return the frames that are online, those of them that are usable, and unpunched ones."""
    online: set[int] = set()
    usable: set[int] = set()
    unpunched: set[int] = set()
    size = 1 << mine[L.MINE_BLOCK_SHIFT]
    blocks = 1 << (mine[L.MINE_SECTION_SHIFT] - mine[L.MINE_BLOCK_SHIFT])
    for section in range(mine[L.MINE_SECTIONS]):
        word = arena[mine[L.MINE_SECTIONS_AT] + section]
        for block in range(blocks):
            start = (section * blocks + block) * size
            frames = range(start, start + size)
            if word & L.MASK_8 in walk.USABLE:
                online.update(frames)
                if not word >> L.SECTION_ABSENT_SHIFT + block & 1:
                    usable.update(frames)
            if word >> L.SECTION_UNPUNCHED_SHIFT + block & 1:
                unpunched.update(frames)
    return frozenset(online), frozenset(usable), frozenset(unpunched)


def facts(world: World) -> Facts:
    """Read an arena."""
    return read(world.arena.plain(), world.members[0].mine)


def read(arena: Any, mine: Any) -> Facts:
    """Read an arena's words. `arena`, `mine`: as check() takes them."""
    runs, _ = walk.free_runs(arena, mine)
    free = {pfn for start, count in runs for pfn in range(start, start + count)}
    going: set[int] = set()
    changing = int(arena[L.CHANGING] >> L.SHIFT_32) if arena[L.CHANGING] else None
    empty: frozenset[int] = frozenset()
    found = Facts(empty, {}, {}, {}, set(), {}, empty, *sections(arena, mine), changing)
    for obj, at in walk.objects_in(arena, mine, walk.WITH_RUNS):
        key = (obj, int(arena[at + L.OBJECT_GENERATION]))
        runs, _, _ = walk.runs_of(arena, mine, at)
        frames = tuple(pfn for start, count in runs for pfn in range(start, start + count))
        state = arena[at + L.OBJECT_STATE] & L.OBJECT_STATE_MASK
        if state == L.OBJECT_STATE_DYING:
            going.update(frames)  # any member gives them back, one run at a time
            continue
        known = Object(frames, state == L.OBJECT_STATE_LIVE)
        known.tainted = bool(arena[at + L.OBJECT_STATE] & L.OBJECT_TAINTED)
        found.objects[key] = known
        found.wanted[key] = len(frames) + (
            0 if known.live else walk.high(arena[at + L.OBJECT_LINK])
        )
        start = walk.low(arena[at + L.OBJECT_HOLDERS])
        for record in walk.two_way(arena, mine, start, L.HOLDER_OBJECT_LINKS)[0]:
            add_holder(found, arena, mine, key, record)
        known.promised = found.wanted[key] - len(frames)
    found.free, found.going = frozenset(free | going), frozenset(going)
    return found


def add_holder(found: Facts, arena: Any, mine: Any, key: Key, record: int) -> None:
    """Read one holder record: a member's counts, a name, and its loans."""
    at = walk.place(mine, L.TABLE_HOLDERS, record)
    owner = arena[at + L.HOLDER_OBJECT] >> L.HOLDER_SLOT_SHIFT & L.MASK_16
    head = walk.low(arena[at + L.HOLDER_LOANS])
    if owner == L.SLOT_AREAS:
        area = walk.place(mine, L.TABLE_AREAS, head)
        found.names[int(arena[area + L.AREA_HASH])] = key
        if arena[area + L.AREA_FLAGS] & L.AREA_WEAK:
            found.weak.add(int(arena[area + L.AREA_HASH]))
        return
    for loan in walk.chain(arena, mine, L.TABLE_LOANS, head, L.LOAN_LINKS)[0]:
        number = int(arena[walk.place(mine, L.TABLE_LOANS, loan) + L.LOAN_ID])
        found.loans[number] = (key, None if owner == L.SLOT_TRANSIT else int(owner))
    if owner != L.SLOT_TRANSIT:
        counts = arena[at + L.HOLDER_COUNTS]
        found.objects[key].held[int(owner)] = {
            HAND: int(counts >> L.COUNT_HANDS_SHIFT & L.MASK_24),
            MAPPING: int(counts & L.MASK_24),
            IO: int(counts >> L.COUNT_IO_SHIFT),
        }


def counts_of(obj: Object, dead: frozenset[int]) -> dict[int, dict[str, int]]:
    """Return who holds an object, and how often. Of the dead: only that, and their I/O."""
    return {
        member: {kind: n for kind, n in kinds.items() if n and (kind == IO or member not in dead)}
        for member, kinds in obj.held.items()
    }


def differences(model: Reference, found: Facts, dead: frozenset[int]) -> list[str]:
    """Return where the arena and the model disagree."""
    wrong = []
    if found.free != model.free():
        wrong.append(f"free frames {sorted(found.free)}, should be {sorted(model.free())}")
    if found.objects.keys() != model.objects.keys():
        wrong.append(f"objects {sorted(found.objects)}, should be {sorted(model.objects)}")
    for key in found.objects.keys() & model.objects.keys():
        one, other = model.objects[key], found.objects[key]
        held, seen = counts_of(one, dead), counts_of(other, dead)
        if held != seen or one.live != other.live:
            wrong.append(f"object {key} is held by {seen}, should be {held}")
        if one.frames != other.frames:
            wrong.append(f"object {key} has frames {other.frames}, should be {one.frames}")
        if one.tainted != other.tainted:
            wrong.append(f"object {key}: tainted {other.tainted}, should be {one.tainted}")
        if one.promised != other.promised:
            wrong.append(f"object {key}: promised {other.promised}, should be {one.promised}")
    if found.names != model.names:
        wrong.append(f"names {found.names}, should be {model.names}")
    if found.weak != model.weak:
        wrong.append(f"weak names {found.weak}, should be {set(model.weak)}")
    if found.loans != model.loans:
        wrong.append(f"loans {found.loans}, should be {model.loans}")
    return wrong + wrong_memory(model, found)


def wrong_memory(model: Reference, found: Facts) -> list[str]:
    """Return which frames are online, absent or without memory, and should not be."""
    wrong = []
    if found.online != model.online or found.usable != model.frames:
        wrong.append(
            f"of the frames online, {sorted(found.online)}, {sorted(found.usable)} can be used; "
            f"should be {sorted(model.frames)} of {sorted(model.online)}"
        )
    if not found.usable <= model.memory:
        wrong.append(f"frames {sorted(found.usable - model.memory)} may have no memory")
    lost = model.perhaps - model.frames - found.unpunched
    if lost:
        wrong.append(f"memory of frames {sorted(lost)} is lost: no trim would find it")
    if found.changing != model.changing:
        wrong.append(f"slot {found.changing} changes a section, should be {model.changing}")
    return wrong
