"""Operations of sections, each done in an arena and in its model: online, offline, trim, populate.

Memory is given and taken outside the lock. Here, that is a step of the model alone. The model says
of each frame whether it certainly or perhaps has memory, and does not let a frame in use lose it.
"""

from __future__ import annotations

import itertools

from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.arena import Violation
from tests.explore.facts import facts
from tests.explore.operations import Move, Pair, key_of
from tests.explore.operations import frames_of as frames_in_order
from tests.explore.world import Member, World
from tests.model.reference import HAND

ALL = 1 << 8  # more blocks than a section has


def frames_of(world: World, section: int) -> frozenset[int]:
    size = world.geometry.section_frames
    return frozenset(range(section * size, (section + 1) * size))


def blocks_of(world: World, section: int) -> list[frozenset[int]]:
    """Return the frames of each block of a section."""
    size, first = world.geometry.block_frames, section * world.geometry.section_frames
    starts = range(first, first + world.geometry.section_frames, size)
    return [frozenset(range(start, start + size)) for start in starts]


def tidy(pair: Pair, member: Member) -> frozenset[int]:
    """Clean and free what dead members left; return the frames that only a reap can free."""
    pair.world.clean(member)
    S.free_all(pair.world, member)
    return facts(pair.world).going


def refused(pair: Pair, status: int) -> bool:
    """Tell whether a dead, unreaped member is changing a section; the core must know it too."""
    if (status == L.ONLINE_BUSY) != (pair.model.changing is not None):
        raise Violation(f"model: a change gave {status:#x}, slot {pair.model.changing} has one")
    return status == L.ONLINE_BUSY


def online(section: int, memory: bool = True, blocks: int = L.MASK_16) -> Move:
    """Bring a section online, with some of its blocks; or find that there is no memory."""

    def move(pair: Pair, member: Member) -> None:
        world, model = pair.world, pair.model
        frames = named(world, section, blocks)
        status = world.run(member, world.core.online.begin, section, blocks)
        if refused(pair, status):
            return
        S.must(status, section)
        model.begin_change(member.slot)
        model.begin_populate(frames)
        pair.between.append(model.copy())
        if memory:
            S.must(world.run(member, world.core.online.finish, blocks), L.OK)
            model.end_populate(frames)
            model.online |= frames_of(world, section)
        else:
            S.must(world.run(member, world.core.online.abort), L.OK)
        model.end_change(member.slot)

    return move


def populate(section: int, memory: bool = True, most: int = ALL) -> Move:
    """Give a section's first absent blocks memory again; or find that there is none."""

    def move(pair: Pair, member: Member) -> None:
        world, model = pair.world, pair.model
        absent = (frames_of(world, section) & model.online) - model.frames
        chosen = [block for block in blocks_of(world, section) if block <= absent][:most]
        absent = frozenset().union(*chosen)
        status = world.run(member, world.core.populate.begin, section, most)
        if refused(pair, status):
            return
        if named(world, section, S.must(status)) != absent:
            raise Violation(f"model: blocks {status:#x} are absent, should be {sorted(absent)}")
        model.begin_change(member.slot)
        model.begin_populate(absent)
        pair.between.append(model.copy())
        if memory:
            S.must(world.run(member, world.core.populate.finish, status), L.OK)
            model.end_populate(absent)
        else:
            S.must(world.run(member, world.core.online.abort), L.OK)
        model.end_change(member.slot)

    return move


def named(world: World, section: int, bits: int) -> frozenset[int]:
    """Return the frames of the blocks given by `bits`."""
    blocks = blocks_of(world, section)
    return frozenset().union(*(block for k, block in enumerate(blocks) if bits >> k & 1))


def trim(section: int) -> Move:
    """Take the memory of a section's free blocks, and of blocks that a death left unpunched."""

    def move(pair: Pair, member: Member) -> None:
        world, model = pair.world, pair.model
        taken = model.trimmable(blocks_of(world, section), tidy(pair, member))
        status = world.run(member, world.core.trim.begin, section, ALL)
        if refused(pair, status):
            return
        left = taken | model.perhaps & frames_of(world, section) - model.frames
        if status == L.NOT_FOUND and not left:
            return
        frames = named(world, section, S.must(status))
        if not left <= frames:
            raise Violation(f"model: a trim takes {sorted(frames)}, should take {sorted(left)}")
        model.begin_change(member.slot)
        model.withdraw(taken)
        model.begin_punch(frames)
        pair.between.append(model.copy())
        S.must(world.run(member, world.core.trim.finish), L.OK)
        model.end_punch(frames)
        model.end_change(member.slot)

    return move


def offline(section: int, kept: int = 1) -> Move:
    """Take a section offline; without `kept`: take the memory of a section that is offline."""

    def move(pair: Pair, member: Member) -> None:
        world, model, frames = pair.world, pair.model, frames_of(pair.world, section)
        going = tidy(pair, member)
        present = frames & model.frames
        possible = present <= model.free() - going
        possible = possible and len(present) <= model.unpromised() - len(going & model.free())
        status = world.run(member, world.core.offline.begin, section, kept)
        if refused(pair, status):
            return
        if not possible:
            S.must(status, L.IN_USE)
            return
        S.must(status, section)
        model.begin_change(member.slot)
        model.withdraw(present)
        model.online -= frames
        model.begin_punch(frames)
        pair.between.append(model.copy())
        S.must(world.run(member, world.core.offline.finish), L.OK)
        model.end_punch(frames)
        model.end_change(member.slot)

    return move


def isolate(section: int) -> Move:
    """Take the free frames of a section out of use, run by run, and release them again."""

    def move(pair: Pair, member: Member) -> None:
        world, model = pair.world, pair.model
        plug = key_of(world, S.reserve(world, member, 0))
        model.allocate(member.slot, plug, (), live=False)
        status, free = L.MORE, frozenset[int]()
        while status == L.MORE:
            pair.between.append(model.copy())
            going = facts(world).going & model.free()
            free = frames_of(world, section) & model.free() - going
            status = world.run(member, world.core.isolate.take, plug[0], section)
            if status == L.MORE:
                taken = frames_in_order(world, plug[0])[len(model.objects[plug].frames) :]
                if not taken or not free.issuperset(taken):
                    raise Violation(f"model: {taken} were kept of section {section}, not {free}")
                model.take(plug, taken)
        if status == L.WRONG_STATE and model.changing is not None:
            free = frozenset()  # a dead, unreaped member was changing it
        else:
            S.must(status, L.IN_USE if free else L.DONE)
        # Only frames promised to a request under way are left to it.
        if free and longest_run(free) <= model.unpromised() - len(going):
            raise Violation(f"model: {sorted(free)} were left in section {section}")
        S.let_go(world, member, plug[0])
        model.let_go(member.slot, plug, HAND, pair.now_s)

    return move


def longest_run(frames: frozenset[int]) -> int:
    """Return the length of the longest run of adjacent frames."""
    starts = [pfn for pfn in frames if pfn - 1 not in frames]
    return max(next(n for n in itertools.count() if pfn + n not in frames) for pfn in starts)
