"""Grow, shrink and merge objects: frames move between objects, and no byte is copied."""

from __future__ import annotations

from scamem.backing.text import counted
from scamem.core.store import layout as L
from scamem.core.store.geometry import FRAME_BYTES
from scamem.errors import ObjectBusyError
from scamem.looks.objects import holders
from scamem.membership.member import Hold, release
from scamem.membership.seat import Seat

from . import moves
from .allocation import ZONE_NAMES, allocate, reserve_nothing
from .room import make_room


def resize(seat: Seat, held: Hold, nbytes: int) -> None:
    """Give an object the number of frames that `nbytes` needs. See Scamem.resize."""
    if nbytes < 0:
        raise ValueError(f"asked for {nbytes} bytes; a size is 0 or more")
    wanted = -(-nbytes // FRAME_BYTES) or 1
    if zone_of(seat, held) == "HUGE":
        wanted = -(-wanted // L.HUGE_FRAMES) * L.HUGE_FRAMES
    settled = False
    while not settled:
        nr = seat.member.nr(held)
        if wanted == nr:
            return
        settled = grow(seat, held, nr, wanted) if wanted > nr else shrink(seat, held, wanted)


def zone_of(seat: Seat, held: Hold) -> str:
    """Return the zone of an object's frames; they all have the same."""
    size = seat.geometry
    section = seat.member.first_run(held)[0] >> size.section_shift
    return ZONE_NAMES[size.spans[size.zone_of_section(section)].kind]


def grow(seat: Seat, held: Hold, nr: int, wanted: int) -> bool:
    """Add frames to an object that has `nr`; return False if it has another number by now."""
    more = allocate(seat, (wanted - nr) * FRAME_BYTES, L.BY_HAND, zone=zone_of(seat, held))
    try:
        status = moves.splice(seat.member, held, more, nr)
    finally:
        release(more)  # does nothing if its frames have moved
    if status not in (L.OK, L.AGAIN):
        raise seat.member.error_of(status)
    return status == L.OK


def shrink(seat: Seat, held: Hold, wanted: int) -> bool:
    """Free all frames but the first `wanted`; return False if the object changed meanwhile."""
    tail = reserve_nothing(seat)
    try:
        status = moves.cut(seat.member, held, tail, wanted)
    finally:
        release(tail)  # frees the frames that were cut off
    if status in (L.OK, L.AGAIN):
        return status == L.OK
    if status == L.NOT_ALONE:
        raise _busy(seat, held, f"shrink object {held.index} to {counted(wanted, 'frame')}")
    make_room(seat, status)
    return False


def splice(seat: Seat, held: Hold, other: Hold) -> None:
    """Move all frames of another object to the end of this one. See Scamem.splice."""
    index = other.index
    if zone_of(seat, held) != zone_of(seat, other):
        raise ValueError(
            f"asked to splice an object of zone {zone_of(seat, other)!r} to one of zone "
            f"{zone_of(seat, held)!r}; all frames of an object have one size. Copy it"
        )
    status = moves.splice(seat.member, held, other, 0)
    if status == L.NOT_ALONE:
        raise _busy(seat, other, f"move the frames of object {index} to object {held.index}")
    if status != L.OK:
        raise seat.member.error_of(status)


def _busy(seat: Seat, held: Hold, asked: str) -> ObjectBusyError:
    seat.reap()  # dead holders must not be listed
    found = tuple(holders(seat, held.index))
    who = "; ".join(str(holder) for holder in found)
    return ObjectBusyError(
        f"asked to {asked}; one Scamem must be the only holder of the object, without views, "
        f"pins and arrays. It is held by: {who}. Close or drop these first, or copy the object",
        holders=found,
    )
