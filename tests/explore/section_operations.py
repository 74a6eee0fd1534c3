"""Operations of sections, each done in an arena and in its model: online, offline, trim, populate.

Memory is given and taken outside the lock. Here that is a step of the model alone: it says of each
frame whether it has memory for sure, or perhaps, and refuses to take it from a frame in use.
"""

from __future__ import annotations

from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.arena import Violation
from tests.explore.facts import facts
from tests.explore.operations import Move, Pair
from tests.explore.world import Member, World

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
    """Clean and free what the dead left; return what only a reap can make free."""
    pair.world.clean(member)
    S.free_all(pair.world, member)
    return facts(pair.world).going


def refused(pair: Pair, status: int) -> bool:
    """Tell whether somebody dead, and not yet reaped, is changing a section; the core must know."""
    if (status == L.ONLINE_BUSY) != (pair.model.changing is not None):
        raise Violation(f"model: a change gave {status:#x}, slot {pair.model.changing} has one")
    return status == L.ONLINE_BUSY


def online(section: int, memory: bool = True) -> Move:
    """Bring a section online; or find that there is no memory to have."""

    def move(pair: Pair, member: Member) -> None:
        world, model, frames = pair.world, pair.model, frames_of(pair.world, section)
        status = world.run(member, world.core.online.begin, section)
        if refused(pair, status):
            return
        S.must(status, section)
        model.begin_change(member.slot)
        model.begin_populate(frames)
        pair.between.append(model.copy())
        if memory:
            S.must(world.run(member, world.core.online.finish), L.OK)
            model.end_populate(frames)
            model.online |= frames
        else:
            S.must(world.run(member, world.core.online.abort), L.OK)
        model.end_change(member.slot)

    return move


def populate(section: int, memory: bool = True) -> Move:
    """Give a section's absent blocks memory again; or find that there is none to have."""

    def move(pair: Pair, member: Member) -> None:
        world, model = pair.world, pair.model
        absent = (frames_of(world, section) & model.online) - model.frames
        status = world.run(member, world.core.populate.begin, section)
        if refused(pair, status):
            return
        if named(world, section, S.must(status)) != absent:
            raise Violation(f"model: blocks {status:#x} are absent, should be {sorted(absent)}")
        model.begin_change(member.slot)
        model.begin_populate(absent)
        pair.between.append(model.copy())
        if memory:
            S.must(world.run(member, world.core.populate.finish), L.OK)
            model.end_populate(absent)
        else:
            S.must(world.run(member, world.core.online.abort), L.OK)
        model.end_change(member.slot)

    return move


def named(world: World, section: int, bits: int) -> frozenset[int]:
    """Return the frames of the blocks that bits name."""
    blocks = blocks_of(world, section)
    return frozenset().union(*(block for k, block in enumerate(blocks) if bits >> k & 1))


def trim(section: int) -> Move:
    """Take the memory of a section's free blocks, and of what a death left unpunched."""

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
    """Take a section offline; without `kept`: take what memory an offline one has."""

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
