"""Make contiguous views of objects: plain, private, or stitched from several objects.

A view of one run lies in the direct map and costs nothing. A view of several runs is a separate
mapping; while it is in use, asking for the same view again returns the same one.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import cython
from cython.cimports.scamem.membership.member import Hold as CHold

from scamem.address_space import map as mapping
from scamem.backing.text import counted
from scamem.core.store import layout as L
from scamem.membership.member import Hold
from scamem.membership.seat import Seat

from .view import View, make_view, runs_unmapped

if TYPE_CHECKING:
    from .view import Part

KEPT_MIN = 64  # weak references to views, before dead ones are dropped

mapping.budget.given_back = runs_unmapped


def contiguous(
    seat: Seat, hold: Hold, by: int, *, writable: bool = True, private: bool = False
) -> View:
    """Return a contiguous view of a held object; it takes a new reference of kind `by`."""
    held = hold.another(by)  # first: an object with a mapping never loses frames
    if private:
        return copy_on_write(seat, held)
    runs = mapping.merged(seat.member.runs(held))
    nbytes = sum(count for _, count in runs) * seat.frame_bytes
    if len(runs) == 1:
        base = seat.direct.writable_address if writable else read_only_address(seat)
        return make_view(held, base + runs[0][0] * seat.frame_bytes, nbytes, writable, 0)
    key = held.index, held.generation, nbytes, writable
    kept = seat.views.get(key)
    found: View | None = None if kept is None else kept()
    if found is not None:
        return found
    if not writable:
        read_only_address(seat)
    address = mapping.vmap(seat.direct, runs, seat.frame_bytes, writable)
    _note(seat, address, nbytes)
    made = make_view(held, address, nbytes, writable, len(runs))
    _keep(seat, key, made)
    return made


def _keep(seat: Seat, key: tuple[int, int, int, bool], view: View) -> None:
    """Remember a view as long as it is in use.

    Without a weak-reference callback: a callback can run inside any other code, and an exception
    from a signal handler that runs in it is lost.
    """
    views = seat.views
    views[key] = weakref.ref(view)
    if len(views) > KEPT_MIN and not len(views) & len(views) - 1:  # at each power of two
        seat.views = {k: ref for k, ref in list(views.items()) if ref() is not None}


def direct_address_of(seat: Seat, hold: Hold, writable: bool = True) -> int:
    """Return where a held object of one run lies in the direct map; 0 if it has several runs."""
    held: CHold = hold
    address: cython.ulonglong = held.member.address_of(held)
    if writable or address == 0:
        return int(address)
    base: cython.ulonglong = seat.read_only_address or read_only_address(seat)
    return int(address - held.member.direct_address + base)


def offset_in_object(hold: Hold, address: int) -> int:
    """Return which byte of a held object of one run lies at this address of the direct map."""
    seat: Seat = hold.member.seat
    first, _ = hold.member.first_run(hold)
    base = seat.direct.address
    if not base <= address < base + seat.direct.length:
        base = read_only_address(seat)
    return address - base - first * seat.frame_bytes


def read_only_address(seat: Seat) -> int:
    """Return the read-only direct map's address. The first call maps it and notes it for fork."""
    with seat.lock:
        seat.read_only_address = seat.direct.make_read_only(seat.member.add_range)
    return seat.read_only_address


def copy_on_write(seat: Seat, held: Hold) -> View:
    """Return a copy-on-write view of a held object. Ownership: it takes the reference over.

    Raises
    ------
    BlindError : the frame file cannot be reached.
    TooScatteredError, OutOfMemoryError : as Scamem.map.
    """
    size = seat.geometry.frame_bytes
    runs = mapping.merged(seat.member.runs(held))
    nbytes = sum(count for _, count in runs) * size
    address = mapping.vmap_private(seat.direct, runs, size)
    _note(seat, address, nbytes)
    return make_view(held, address, nbytes, True, len(runs), private=True)


def stitched(seat: Seat, parts: Iterable[Part], *, writable: bool, private: bool = False) -> View:
    """Return one view of several parts of objects, one after the other. A frame may occur twice.

    Parameters
    ----------
    parts : (reference, first frame, frames) for each part; frames count from the object's start.
    private : copy-on-write; a frame that occurs twice is two copies.

    Raises
    ------
    IndexError : a part is not inside its object.
    TooScatteredError, OutOfMemoryError : as Scamem.map.

    Ownership: the view holds one more reference (a mapping) on each object.
    Cost: one mmap per run.
    """
    size = seat.frame_bytes
    kept = tuple((hold.another(L.BY_MAPPING), start, count) for hold, start, count in parts)
    runs = mapping.merged(run for part in kept for run in runs_within(*part))
    nbytes = sum(count for _, count in runs) * size
    if not writable:
        read_only_address(seat)
    if private:
        address = mapping.vmap_private(seat.direct, runs, size)
    else:
        address = mapping.vmap(seat.direct, runs, size, writable)
    _note(seat, address, nbytes)
    writable = writable or private
    hold = kept[0][0]
    return make_view(hold, address, nbytes, writable, len(runs), private=private, parts=kept)


def _note(seat: Seat, address: int, nbytes: int) -> None:
    """Tell fork about a mapping that is about to become a view's."""
    try:
        seat.member.add_range(address, nbytes)
    except BaseException:
        mapping.vunmap(address, nbytes)
        raise
    mapping.budget.hand_over(address)


def runs_within(hold: Hold, start: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of a part of a held object; IndexError if it is not inside."""
    nr = hold.member.nr(hold)
    if not 0 <= start <= start + count <= nr:
        size = counted(nr, "frame")
        raise IndexError(f"asked for frames {start} to {start + count} of an object of {size}")
    for first, frames in hold.member.runs(hold):
        skipped = min(start, frames)
        taken = min(frames - skipped, count)
        if taken:
            yield first + skipped, taken
        start -= skipped
        count -= taken


def overlaps(parts: Sequence[Part]) -> bool:
    """Return whether parts of objects have a frame in common."""
    ordered = sorted((hold.index, start, count) for hold, start, count in parts)
    return any(
        index == other and start + count > behind
        for (index, start, count), (other, behind, _) in itertools.pairwise(ordered)
    )
