"""Any Python object in an arena: pickle protocol 5, its buffers out of band and never copied again.

An object of kind PICKLE begins with {pickle's bytes, buffers, then bytes and place of each buffer}
as 64-bit numbers; pickle and buffers follow, each on a boundary of 64 bytes. Loading gives
read-only views of the buffers, which hold the object. As with any pickle, loading runs what it
says: an arena is one trust domain. That an object is a pickle is marked in the arena by the member
that put it there; a handle that says so of anything else is refused.
"""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from scamem.arrays.array import locate
from scamem.arrays.construct import copy_bytes
from scamem.arrays.create import array, offset_for_copy, over
from scamem.core.store import layout as L
from scamem.errors import ScamemError

from .description import ARRAY, BYTES, PICKLE, RAW, Description, encode, encode_array
from .dtypes import dtype_text
from .handle import Handle

if TYPE_CHECKING:
    from scamem.arena.arena import ArenaBase
    from scamem.arena.member import Hold

ALIGN_BYTES = 64
U8 = np.dtype(np.uint8)


def put(arena: ArenaBase, value: Any) -> Handle:
    """Store a copy of a value and return a handle of it; see Arena.put."""
    if type(value) is np.ndarray:
        made = _put_array(arena, value)
        if made is not None:
            return made
    if type(value) is bytes:
        hold = _store(arena, [memoryview(value)], [0])
        return Handle(arena, hold, encode(Description(BYTES, 0, (len(value),), None, None, True)))
    return _put_pickled(arena, value)


def _put_array(arena: ArenaBase, value: np.ndarray[Any, Any]) -> Handle | None:
    """Store an array's bytes, axes in its order; None if only pickle knows its dtype."""
    try:
        dtype_text(value.dtype)
    except TypeError:
        return None
    if not value.flags.c_contiguous or value.size == 0:
        made = array(arena, value)
        place = locate(made)
        if place is None:
            return None
        description = encode_array(made, place.offset, read_only=True)
        return Handle(arena, place.hold.another(L.BY_HAND), description)
    offset = offset_for_copy(arena, value, value.nbytes)
    hold = arena.alloc_hold(value.nbytes + offset, L.BY_HAND)
    pinned = hold.another(L.BY_PIN)  # what is only in hand may be migrated
    address = arena.direct_address_of(pinned)
    if address:
        copy_bytes(address + offset, value.reshape(-1).view(U8))
    else:
        over(arena, pinned, offset, value.shape, value.dtype)[...] = value
    return Handle(arena, hold, encode_array(value, offset, read_only=True))


def _put_pickled(arena: ArenaBase, value: Any) -> Handle:
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(stream), *(buffer.raw() for buffer in buffers)]
    at = _aligned(16 + 16 * len(buffers))
    places = []
    for part in parts:
        places.append(at)
        at = _aligned(at + part.nbytes)
    numbers = [len(stream), len(buffers)]
    for part, place in zip(parts[1:], places[1:], strict=True):
        numbers += [part.nbytes, place]
    head = memoryview(struct.pack(f"<{len(numbers)}Q", *numbers))
    hold = _store(arena, [head, *parts], [0, *places])
    arena.member.mark_pickled(hold)
    return Handle(arena, hold, encode(Description(PICKLE, 0, (at,), None, None, True)))


def _aligned(at: int) -> int:
    return -(-at // ALIGN_BYTES) * ALIGN_BYTES


def _store(arena: ArenaBase, parts: list[memoryview], places: list[int]) -> Hold:
    """Allocate an object and copy buffers into it. Ownership: the Hold is the caller's."""
    nbytes = max(place + part.nbytes for place, part in zip(places, parts, strict=True))
    hold = arena.alloc_hold(nbytes, L.BY_HAND)
    into = over(arena, hold.another(L.BY_PIN), 0, (max(nbytes, 1),), U8)
    for place, part in zip(places, parts, strict=True):
        if part.nbytes:
            into[place : place + part.nbytes] = np.frombuffer(part.cast("B"), np.uint8)
    return hold


def get(arena: ArenaBase, hold: Hold, found: Description) -> Any:
    """Return the value that a held object's description stands for.

    Ownership: the result takes `hold` over, as its base or until it is copied out.
    """
    if found.kind == RAW:
        from scamem.arena.objects import Scamem

        return Scamem(arena, hold.another(L.BY_HAND))
    if found.kind == ARRAY:
        dtype = found.dtype if found.dtype is not None else U8
        return over(
            arena,
            hold,
            found.offset,
            found.shape,
            dtype,
            found.strides,
            writable=not found.read_only,
        )
    if found.kind == PICKLE and (found.offset != 0 or not arena.member.is_pickled(hold)):
        raise ScamemError(
            "a handle or area says that an object is a pickle; the arena knows of none that was "
            "put there, so nothing was unpickled. It was tampered with; get it again from its "
            "sender"
        )
    nbytes = found.shape[0]
    data = over(arena, hold, found.offset, (nbytes,), U8, writable=False)
    if found.kind == BYTES:
        return data.tobytes()
    return _get_pickled(data.view(np.ndarray))


def _get_pickled(data: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:
    """Unpickle, with the buffers as read-only views of the arena; they keep the object."""
    view = data.data
    try:
        length, count = struct.unpack_from("<2Q", view)
        numbers = struct.unpack_from(f"<{2 * count}Q", view, 16)
    except (struct.error, OverflowError, MemoryError):
        raise ScamemError("a stored object has no readable head; it was written over") from None
    start = _aligned(16 + 16 * count)
    buffers = [
        view[place : place + nbytes]
        for nbytes, place in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    try:
        return pickle.loads(view[start : start + length], buffers=buffers)
    except (EOFError, pickle.UnpicklingError) as error:
        raise ScamemError(f"a stored object is no pickle: {error}; it was written over") from error
