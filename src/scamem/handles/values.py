"""Any Python object in an arena: pickle protocol 5, with buffers that are never copied again.

An object of kind PICKLE begins with {pickle's bytes, buffers, then bytes and place of each buffer}
as 64-bit numbers. The pickle and the buffers follow, each on a boundary of 64 bytes. Loading gives
read-only views of the buffers, which hold the object. As with any pickle, loading runs code that
the pickle names: an arena is one trust domain. The member that stores a pickle marks the object in
the arena; a handle that claims a pickle for any other object is refused.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

import numpy as np
from cython.cimports.scamem.handles.handle import new_handle

from scamem.address_space.copying import bytes_at, copy_bytes
from scamem.arrays.array import Array
from scamem.arrays.construct import address_of, put_array, put_bytes
from scamem.arrays.create import array
from scamem.arrays.over import over
from scamem.arrays.place import locate
from scamem.core.store import layout as L
from scamem.errors import ScamemError
from scamem.membership.member import Hold, release
from scamem.membership.seat import Seat
from scamem.memory.allocation import allocate
from scamem.objects.scamem import Scamem
from scamem.views.making import contiguous, direct_address_of

from .description import (
    ARRAY,
    BYTES,
    FROZEN,
    PICKLE,
    RAW,
    Description,
    decode,
    encode,
    encode_array,
)
from .dtypes import dtype_text
from .handle import Handle
from .modes import Mode
from .openers import opener_of, own_handle
from .subclasses import kind_of

ALIGN_BYTES = 64
U8 = np.dtype(np.uint8)


def put(seat: Seat, value: Any) -> Handle:
    """Store a value and return a handle of it; see Arena.put."""
    if not seat.closed:
        made = put_array(seat.member, value)
        if made is not None:
            try:
                stored: Handle = new_handle(seat, made, encode_array(value, 0, True))
                return stored
            except TypeError:
                release(made)  # a dtype that only pickle knows
    own: Handle | None = own_handle(value)
    if own is not None and own.seat is seat:
        return own
    if isinstance(value, Array):
        place = locate(value)
        if place is not None and place.hold.member is seat.member:
            return Handle(seat, place.hold.another(L.BY_HAND), encode_array(value, place.offset))
        value = value.view(np.ndarray)
    seat.check_open()
    return _put_copy(seat, value)


def _put_copy(seat: Seat, value: Any) -> Handle:
    if type(value) is np.ndarray:
        stored = _put_array(seat, value)
        if stored is not None:
            return stored
    if type(value) is bytes:
        hold = put_bytes(seat.member, value) or _store(seat, [memoryview(value)], [0])
        return Handle(seat, hold, encode(Description(BYTES, 0, (len(value),), None, None, True)))
    return _put_pickled(seat, value)


def _put_array(seat: Seat, value: np.ndarray[Any, Any]) -> Handle | None:
    """Store an array's bytes, its axes in their order; None if only pickle knows its dtype."""
    try:
        dtype_text(value.dtype)
    except TypeError:
        return None
    if not value.flags.c_contiguous or value.size == 0:
        made = array(seat, value)
        place = locate(made)
        if place is None:
            return None
        description = encode_array(made, place.offset, read_only=True)
        return Handle(seat, place.hold.another(L.BY_HAND), description)
    hold = _store(seat, [value.reshape(-1).view(U8).data], [0])
    return Handle(seat, hold, encode_array(value, 0, read_only=True))


def _put_pickled(seat: Seat, value: Any) -> Handle:
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return put_split(seat, stream, [buffer.raw() for buffer in buffers])


def put_split(seat: Seat, stream: bytes, buffers: list[memoryview]) -> Handle:
    """Store a pickle of protocol 5 and the buffers that were pickled apart from it."""
    parts = [memoryview(stream), *buffers]
    at = _aligned(16 + 16 * len(buffers))
    places = []
    for part in parts:
        places.append(at)
        at = _aligned(at + part.nbytes)
    numbers = [len(stream), len(buffers)]
    for part, place in zip(parts[1:], places[1:], strict=True):
        numbers += [part.nbytes, place]
    head = memoryview(struct.pack(f"<{len(numbers)}Q", *numbers))
    hold = _store(seat, [head, *parts], [0, *places])
    seat.member.mark_pickled(hold)
    return Handle(seat, hold, encode(Description(PICKLE, 0, (at,), None, None, True)))


def _aligned(at: int) -> int:
    return -(-at // ALIGN_BYTES) * ALIGN_BYTES


def _store(seat: Seat, parts: list[memoryview], places: list[int]) -> Hold:
    """Allocate an object and copy buffers into it. Ownership: the Hold is the caller's."""
    nbytes = max(place + part.nbytes for place, part in zip(places, parts, strict=True))
    hold = allocate(seat, nbytes, L.BY_HAND)
    pinned = hold.another(L.BY_PIN)  # an object that is only in hand may be migrated
    address = direct_address_of(seat, pinned)
    if not address:
        view = contiguous(seat, pinned, L.BY_MAPPING)
        address = view.address
    for place, part in zip(places, parts, strict=True):
        copy_bytes(address + place, part)
    return hold


def value_of(seat: Seat, hold: Hold, description: bytes, mode: Mode | None = None) -> Any:
    """Return the value of a held object, by its description from a handle or an area.

    Raises
    ------
    ValueError : mode is "w", and the value was stored read-only.

    Ownership: the result takes `hold` over.
    """
    found: Any = decode(description, seat.member.nr(hold) * seat.frame_bytes)
    if mode == "r":
        found = found._replace(read_only=True)
    elif mode == "w" and found.read_only and found.kind in (ARRAY, PICKLE):
        raise ValueError(
            "asked for mode='w' of a value that is read-only for all: put() copied it, or its "
            "array was read-only. Use mode='c' for a private copy-on-write view, or publish an "
            "array of the arena"
        )
    elif mode == "w":
        seat.check_writable()
    return get(seat, hold, found, private=mode == "c")


def writable_value_of(seat: Seat, hold: Hold, description: bytes, _mode: Mode | None = None) -> Any:
    """Return a value as `value_of` does, but writable, even if `put` stored a copy of it."""
    found = decode(description, seat.member.nr(hold) * seat.frame_bytes)
    return get(seat, hold, found._replace(read_only=False))


def get(seat: Seat, hold: Hold, found: Description, *, private: bool = False) -> Any:
    """Return the value of a held object, by its parsed description.

    `private`: arrays are writable, and what is written to them stays in this process.

    Ownership: the result takes `hold` over, as its base or until it is copied out.
    """
    if found.kind == RAW:
        return Scamem(seat, hold.another(L.BY_HAND))
    if found.kind == ARRAY:
        dtype = found.dtype if found.dtype is not None else U8
        return over(
            seat,
            hold,
            found.offset,
            found.shape,
            dtype,
            found.strides,
            writable=not found.read_only,
            private=private,
            kind=kind_of(found.of) if found.of else Array,
        )
    if found.kind == FROZEN:
        return opener_of(FROZEN)(seat, hold, found.of)
    if found.kind == PICKLE and (found.offset != 0 or not seat.member.is_pickled(hold)):
        raise ScamemError(
            "a handle or area describes a pickle, but no pickle was put there, so nothing was "
            "unpickled. It was tampered with; get it again from its sender"
        )
    nbytes = found.shape[0]
    writable = found.kind == PICKLE and not found.read_only
    private = private and found.kind == PICKLE
    data = over(
        seat,
        hold,
        found.offset,
        (nbytes,),
        U8,
        writable=writable,
        private=private,
        kind=np.ndarray,
    )
    if found.kind == BYTES:
        return bytes_at(address_of(data), nbytes)
    return _get_pickled(data)


def _get_pickled(data: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:
    """Unpickle, with the buffers as views of the arena, which keep the object.

    They can be written if `data` can.
    """
    view = data.data
    try:
        length, count = struct.unpack_from("<2Q", view)
        numbers = struct.unpack_from(f"<{2 * count}Q", view, 16)
    except (struct.error, OverflowError, MemoryError):
        raise ScamemError("a stored object has no readable header; it was overwritten") from None
    start = _aligned(16 + 16 * count)
    buffers = [
        view[place : place + nbytes]
        for nbytes, place in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    try:
        return pickle.loads(view[start : start + length], buffers=buffers)
    except (EOFError, pickle.UnpicklingError) as error:
        raise ScamemError(f"a stored object is no pickle: {error}; it was overwritten") from error
