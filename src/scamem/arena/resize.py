"""Making objects larger, smaller, or one of two: the frames move, no byte does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scamem.core.store import layout as L
from scamem.core.store.geometry import FRAME_BYTES
from scamem.errors import ObjectBusyError

from . import moves
from .member import Hold, release

if TYPE_CHECKING:
    from .arena import ArenaBase


def resize(arena: ArenaBase, held: Hold, nbytes: int) -> None:
    """Give an object as many frames as `nbytes` need. See Scamem.resize."""
    if nbytes < 0:
        raise ValueError(f"asked for {nbytes} bytes; a size is not negative")
    wanted = -(-nbytes // FRAME_BYTES) or 1
    if zone_of(arena, held) == "HUGE":
        wanted = -(-wanted // L.HUGE_FRAMES) * L.HUGE_FRAMES
    settled = False
    while not settled:
        nr = arena.member.nr(held)
        if wanted == nr:
            return
        settled = grow(arena, held, nr, wanted) if wanted > nr else shrink(arena, held, wanted)


def zone_of(arena: ArenaBase, held: Hold) -> str:
    """Return the zone of an object's frames: all of them are of one."""
    return arena.page_zone(arena.member.first_run(held)[0])


def grow(arena: ArenaBase, held: Hold, nr: int, wanted: int) -> bool:
    """Add frames to an object that has `nr`; False if it has not that many any more."""
    more = arena.alloc_hold((wanted - nr) * FRAME_BYTES, L.BY_HAND, zone=zone_of(arena, held))
    try:
        status = moves.splice(arena.member, held, more, nr)
    finally:
        release(more)  # nothing, once its frames have moved
    if status not in (L.OK, L.AGAIN):
        raise arena.error_of(status)
    return status == L.OK


def shrink(arena: ArenaBase, held: Hold, wanted: int) -> bool:
    """Take all frames but the first `wanted` away; False if the object changed meanwhile."""
    tail = arena.reserve_nothing()
    try:
        status = moves.cut(arena.member, held, tail, wanted)
    finally:
        release(tail)  # and with it the frames that are not needed any more
    if status in (L.OK, L.AGAIN):
        return status == L.OK
    if status == L.NOT_ALONE:
        raise _busy(arena, held, f"shrink object {held.index} to {wanted:,} frames")
    arena.make_room(status)
    return False


def splice(arena: ArenaBase, held: Hold, other: Hold) -> None:
    """Move all frames of another object to the end of this one. See Scamem.splice."""
    index = other.index
    if zone_of(arena, held) != zone_of(arena, other):
        raise ValueError(
            f"asked to splice an object of zone {zone_of(arena, other)!r} to one of zone "
            f"{zone_of(arena, held)!r}; an object's frames are all of one size. Copy it"
        )
    status = moves.splice(arena.member, held, other, 0)
    if status == L.NOT_ALONE:
        raise _busy(arena, other, f"move the frames of object {index} to object {held.index}")
    if status != L.OK:
        raise arena.error_of(status)


def _busy(arena: ArenaBase, held: Hold, asked: str) -> ObjectBusyError:
    found = tuple(arena.holders(held.index))
    who = "; ".join(str(holder) for holder in found)
    return ObjectBusyError(
        f"asked to {asked}; that takes an object which one Scamem holds and nothing else, and "
        f"without views, pins and arrays. It is held by: {who}. Close or drop these first, or copy",
        holders=found,
    )
