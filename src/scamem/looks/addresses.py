"""Find which arena has the memory at an address of this process."""

from __future__ import annotations

import os
from collections.abc import Iterator

from scamem.membership import joined
from scamem.membership.seat import Seat

MAPS = "/proc/self/maps"


def seat_at(address: int, nbytes: int) -> Seat | None:
    """Return the seat of the arena whose shared frames lie at these addresses, else None.

    Also None for copy-on-write mappings, for a range that is only partly in an arena, and for
    arenas that this process has closed. Cost: a comparison if the range lies in a direct map;
    otherwise this process's mappings are read.
    """
    end = address + max(nbytes, 1)
    seats = joined.seats()
    for seat in seats:
        for start, length in seat.direct.ranges():
            if start <= address and end <= start + length:
                return seat
    found: Seat | None = None
    for start, stop, file in _shared_mappings():
        if start <= address < stop:
            owner = next((seat for seat in seats if file in _files(seat)), None)
            if owner is None or found not in (None, owner):
                return None
            found, address = owner, stop
            if end <= stop:
                return found
    return None


def _files(seat: Seat) -> set[tuple[int, int]]:
    return {(file.device, file.inode) for file in seat.direct.files}


def _shared_mappings() -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield (start, end, (device, inode)) of each shared file mapping, in order of address."""
    with open(MAPS) as lines:
        for line in lines:
            where, permissions, _, device, inode, *_ = line.split(maxsplit=5)
            if permissions[3] == "s":
                start, _, stop = where.partition("-")
                major, _, minor = device.partition(":")
                number = os.makedev(int(major, 16), int(minor, 16))
                yield int(start, 16), int(stop, 16), (number, int(inode))
