"""Empty a section: move objects that are not in use, and keep the frames from being allocated.

State. The plug, an object that is never LIVE and holds the section's free frames (core's
isolate.py). For each object that moves, one after the other, a copy (core's move.py).

Steps. Free frames go to the plug. Each LIVE object in the section is copied to frames of another
section, and the two exchange their frames. The copy now has the old frames; it is released, and
they go to the plug. At the end the plug is released; then the section can go offline.

Why safe: copy and plug are this process's objects and end with it. An object has its old frames or
its new ones, with all of its bytes either way. Between the plug's release and the section's going
offline, its frames may be allocated again: then everything is repeated, a bounded number of times.
"""

from __future__ import annotations

import numpy as np

from scamem.core.store import layout as L
from scamem.errors import StaleHandleError
from scamem.looks.frames import objects_of
from scamem.looks.objects import holders
from scamem.membership.member import Hold, release
from scamem.membership.seat import Seat

from . import moves
from .allocation import allocate_near, hold_object, reserve_nothing
from .room import make_room

TRIES = 8  # per object: it may be in use for a moment, or frames just freed be allocated again


def evacuate(seat: Seat, section: int) -> bool:
    """Move the objects in a section elsewhere; return False if one of them is in use.

    Objects that are being allocated, freed or moved are skipped: that ends by itself.

    Raises
    ------
    OutOfMemoryError : there is no room elsewhere.

    Needs: the turn (turns.in_turn).
    """
    found = objects_in(seat, section)
    if any(is_looked_at(seat, index) for index, _ in found):
        return False
    plug = reserve_nothing(seat)
    try:
        seat.emptied = section
        isolate(seat, plug, section)
        return all(move(seat, one, section, plug) for one in found)
    finally:
        seat.emptied = -1
        release(plug)
        seat.member.free_dying()


def objects_in(seat: Seat, section: int) -> list[tuple[int, int]]:
    """Return the LIVE objects that have frames in a section, as (number, generation)."""
    size = seat.geometry
    frames = size.section_frames
    pfns = np.arange(section * frames, (section + 1) * frames, dtype=np.int64)
    numbers, generations = np.empty(frames, np.uint64), np.empty(frames, np.uint64)
    objects_of(seat.member, pfns, numbers, generations)
    found = dict.fromkeys(zip(numbers.tolist(), generations.tolist(), strict=True))
    return [one for one in found if one[0]]


def is_looked_at(seat: Seat, index: int) -> bool:
    """Return whether an object is mapped or pinned, or another member has it in hand."""
    own = seat.member.my_word(L.MINE_SLOT)
    return any(
        holder.mappings or holder.pins or holder.io_pins or holder.slot != own
        for holder in holders(seat, index)
        if holder.kind == "member"
    )


def isolate(seat: Seat, plug: Hold, section: int) -> None:
    """Move a section's free frames to the plug."""
    status = L.MORE
    while status not in (L.DONE, L.IN_USE, L.WRONG_STATE):
        status = moves.isolate(seat.member, plug, section)
        if status not in (L.MORE, L.DONE, L.IN_USE, L.WRONG_STATE):
            make_room(seat, status)


def is_in(seat: Seat, held: Hold, section: int) -> bool:
    """Return whether a held object has frames of a section."""
    first = section * seat.geometry.section_frames
    last = first + seat.geometry.section_frames
    runs = seat.member.runs(held)
    return any(start < last and start + count > first for start, count in runs)


def move(seat: Seat, one: tuple[int, int], section: int, plug: Hold) -> bool:
    """Give an object frames of another section; return False if it is in use."""
    try:
        held = hold_object(seat, *one, L.BY_HAND)
    except StaleHandleError:
        return True
    try:
        return any(
            not is_in(seat, held, section) or move_once(seat, held, section, plug)
            for _ in range(TRIES)
        )
    finally:
        release(held)


def move_once(seat: Seat, held: Hold, section: int, plug: Hold) -> bool:
    """Try once to exchange an object's frames with those of a copy."""
    zone = seat.geometry.zone_of_section(section)
    copy = allocate_near(seat, seat.member.nr(held), zone)
    try:
        if is_in(seat, copy, section):
            return False  # it got frames of the section that were freed just then
        if moves.begin_migration(seat.member, held, copy) != L.OK:
            return False
        if not moves.copy_frames(seat.member, held, copy):
            return False  # it was resized meanwhile
        return moves.finish_migration(seat.member, held, copy) == L.OK
    finally:
        release(copy)
        isolate(seat, plug, section)
