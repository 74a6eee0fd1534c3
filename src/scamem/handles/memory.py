"""Find the object that shared memory at an address belongs to, and make an Array of it.

Other libraries know their memory by address only. A buffer of theirs that lies in an arena goes to
another process by handle, if it is sent as the Array that is found here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scamem.arrays.array import Array
from scamem.arrays.construct import new_array
from scamem.core.store import layout as L
from scamem.errors import ScamemError
from scamem.membership import joined
from scamem.membership.member import Hold
from scamem.membership.seat import Seat
from scamem.memory.allocation import hold_object
from scamem.views.view import View

U8 = np.dtype(np.uint8)


class Found(NamedTuple):
    """What keeps the memory at an address: a reference or a view, and whether it is writable."""

    base: Hold | View
    writable: bool


def shared_bytes(address: int, nbytes: int) -> Array | None:
    """Return the shared memory at an address as an Array of uint8; None if it cannot be sent.

    None for memory outside an arena, in a copy-on-write view, in a view of several objects, or in
    an arena that this process has closed. Needs: something of the caller keeps the memory.

    Ownership: the Array holds its own reference. Cost: some microseconds; no system call.
    """
    found = _found(address, nbytes) if nbytes else None
    if found is None:
        return None
    made: Array = new_array(Array, U8, (nbytes,), None, address, found.writable, found.base)
    return made


def _found(address: int, nbytes: int) -> Found | None:
    for seat in joined.seats():
        direct = seat.direct
        for start, length in direct.ranges():
            if start <= address and address + nbytes <= start + length:
                held = _held(seat, address - start, nbytes)
                writable = start == direct.address
                return None if held is None else Found(held, writable)
        for kept in list(seat.views.values()):
            view = kept()
            if view is not None and view.address <= address:
                if address + nbytes <= view.address + view.nbytes and not view.private:
                    return Found(view, view.writable)
    return None


def _held(seat: Seat, offset: int, nbytes: int) -> Hold | None:
    """Take a reference to the object at an offset of the direct map, if all of it is in one run."""
    first, last = offset // seat.frame_bytes, (offset + nbytes - 1) // seat.frame_bytes
    try:
        index, generation = seat.member.page_to_object(first)
        if index == 0:
            return None
        held = hold_object(seat, index, generation, L.BY_PIN)
        runs = held.member.runs(held)
    except ScamemError:
        return None  # nothing keeps it, or the arena was closed
    inside = any(start <= first and last < start + count for start, count in runs)
    return held if inside and len(runs) == 1 else None
