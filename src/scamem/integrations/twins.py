"""Frames that have the same bytes as private memory: made once, and sent again while they match.

Dask lets each worker change its own copy of a value. So a receiver gets a copy-on-write view, and a
sender sends what its memory contains now. Memory that was sent or received before has a *twin* in
an arena; if both still have the same bytes, the twin is sent, and nothing is copied. An array in an
arena is sent as it is only if this process cannot write to it.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from scamem.arrays.array import Array
from scamem.arrays.place import locate
from scamem.core.store import layout as L
from scamem.errors import BlindError, OutOfMemoryError, TooScatteredError
from scamem.handles import convert
from scamem.handles.memory import shared_bytes
from scamem.handles.shared import seat_of
from scamem.views import making

PART_BYTES = 256 << 10


class Twin(NamedTuple):
    """Who owns private memory, how long that is, and the bytes in an arena that it equals."""

    owner: weakref.ref[Any]
    nbytes: int
    shared: Array


class Twins:
    """The twins that this process knows, by the address of the private memory. Threads: any."""

    def __init__(self) -> None:
        self._known: dict[int, Twin] = {}

    def handle_of(self, arena: Any, buffer: memoryview, owner: Any) -> bytes:
        """Return the bytes of a handle of a buffer's contents, which are copied if necessary.

        Parameters
        ----------
        owner : the object whose memory it is; a copy is kept for as long as it lives.

        Raises
        ------
        OutOfMemoryError, TooScatteredError, TooManyLoansError : the buffer must go by value.
        """
        data = np.frombuffer(buffer, np.uint8)
        shared = shared_bytes(_address(data), data.nbytes)
        if shared is None or seat_of(shared) is not arena._seat or shared.flags.writeable:
            shared = self._twin(arena, data, owner)
        return bytes(convert.handle(shared))

    def view_of(self, handle: bytes, writable: bool) -> memoryview:
        """Return the buffer that a handle stands for; writes to it stay in this process."""
        shared: Array = convert.from_handle(handle)
        place = locate(shared)
        if not writable or place is None:
            return shared.readonly().view(np.ndarray).data
        seat = place.hold.member.seat
        try:
            view = making.contiguous(seat, place.hold, L.BY_MAPPING, private=True)
        except (BlindError, OutOfMemoryError, TooScatteredError):
            return memoryview(bytearray(shared.data))
        self._note(view.address + place.offset, view, shared)
        return memoryview(view)[place.offset : place.offset + shared.nbytes]

    def _twin(self, arena: Any, data: np.ndarray[Any, Any], owner: Any) -> Array:
        known = self._known.get(_address(data))
        if known is not None and known.owner() is not None and known.nbytes == data.nbytes:
            found = known.shared
            if seat_of(found) is arena._seat and _are_equal(found, data):
                return found
        made: Array = arena.array(data)
        self._note(_address(data), owner, made)
        return made

    def _note(self, address: int, owner: Any, shared: Array) -> None:
        def forget(owner: weakref.ref[Any]) -> None:
            twin = self._known.get(address)
            if twin is not None and twin.owner is owner:
                del self._known[address]

        try:
            watched = weakref.ref(owner, forget)
        except TypeError:
            return  # the owner cannot be watched, so the copy is not kept
        self._known[address] = Twin(watched, shared.nbytes, shared)


def _are_equal(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Compare bytes of equal length, part by part: each part stays in the processor's cache."""
    parts = (slice(start, start + PART_BYTES) for start in range(0, len(one), PART_BYTES))
    return all(np.array_equal(one[part], other[part]) for part in parts)


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
