"""Describe an object's bytes as data, so that another process can make the same array of them.

A description comes from a handle or an area, so it is untrusted input. One that leaves the object,
or whose dtype is not plain data, is refused before any memory is read.
"""

from __future__ import annotations

import math
import struct
import sys
from functools import lru_cache
from typing import Any, NamedTuple

import cython
import numpy as np
from cython.cimports import numpy as cnp
from cython.cimports.numpy import ndarray

from scamem.arrays.array import Array
from scamem.errors import ScamemError

from .dtypes import dtype_of, dtype_text
from .subclasses import subclass_of

cnp.import_array()

RAW = 0  # the object itself: untyped frames
ARRAY = 1
BYTES = 2
PICKLE = 3  # a pickle and its buffers (objects.py)
FROZEN = 4  # a frozen value; `of` says which part of it

HEAD = struct.Struct("<BBBxIQ")  # kind, flags, dimensions, bytes of the dtype, offset
READ_ONLY = 1
STRIDED = 2
SUBCLASS = 4
KNOWN_FLAGS = READ_ONLY | STRIDED | SUBCLASS
DIMENSIONS_MAX = 64
CACHED_BYTES_MAX = 1024  # longer descriptions are rare, and would make the cache large


class Description(NamedTuple):
    """What an object's bytes are.

    `strides` is None for C order; `shape` of BYTES, PICKLE and FROZEN is (bytes,). `of` names the
    subclass of Array that an ARRAY was (see `kind_of`), b"" for none, or the part of a FROZEN.
    """

    kind: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: np.dtype[Any] | None
    read_only: bool
    of: bytes = b""


def encode(found: Description) -> bytes:
    """Encode a description as bytes."""
    dtype = b"" if found.dtype is None else dtype_text(found.dtype)
    return _encode(
        found.kind, found.offset, found.shape, found.strides, dtype, found.read_only, found.of
    )


@lru_cache(maxsize=1024)
def _encode(
    kind: int,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None,
    dtype: bytes,
    read_only: bool,
    of: bytes,
) -> bytes:
    flags = (
        (READ_ONLY if read_only else 0)
        | (0 if strides is None else STRIDED)
        | (SUBCLASS if of else 0)
    )
    numbers = shape if strides is None else shape + strides
    return b"".join(
        (
            HEAD.pack(kind, flags, len(shape), len(dtype), offset),
            struct.pack(f"<{len(numbers)}q", *numbers),
            dtype,
            of,
        )
    )


def decode(data: bytes, object_bytes: int) -> Description:
    """Decode a description, and check that it lies inside an object of `object_bytes` bytes.

    Raises
    ------
    ScamemError : it does not, or these bytes are not a description.
    """
    read = _decode if len(data) <= CACHED_BYTES_MAX else _decode.__wrapped__
    found, first, last = read(data)
    if first < 0 or last > object_bytes:
        raise ScamemError(
            f"a handle or area describes bytes {first} to {last} of an object of {object_bytes}; "
            "it was tampered with"
        )
    return found


@lru_cache(maxsize=1024)
def _decode(data: bytes) -> tuple[Description, int, int]:
    """Decode a description; return it with the first byte that it describes, and the end."""
    try:
        kind, flags, ndim, dtype_bytes, offset = HEAD.unpack_from(data)
        count = 2 * ndim if flags & STRIDED else ndim
        end = HEAD.size + 8 * count
        of = data[end + dtype_bytes :]
        if ndim > DIMENSIONS_MAX or len(data) < end + dtype_bytes or flags & ~KNOWN_FLAGS:
            raise struct.error
        if bool(of) != bool(flags & SUBCLASS) or (of and kind not in (ARRAY, FROZEN)):
            raise struct.error
        numbers = struct.unpack_from(f"<{count}q", data, HEAD.size)
    except struct.error:
        raise ScamemError(
            f"a handle or area has no readable description ({len(data)} bytes). It was tampered "
            "with, or made by another version"
        ) from None
    found = Description(
        kind,
        offset,
        numbers[:ndim],
        numbers[ndim:] if flags & STRIDED else None,
        dtype_of(data[end : end + dtype_bytes]) if dtype_bytes else None,
        bool(flags & READ_ONLY),
        of,
    )
    if not _is_possible(found):
        raise ScamemError(
            "a handle or area describes an impossible array; it was tampered with, or made by "
            "another version"
        )
    if 0 in found.shape:  # nothing is read, so its strides do not matter
        found = found._replace(offset=0, strides=None)
    return found, *extent(found)


def _is_possible(found: Description) -> bool:
    """Return whether the kind is known, and NumPy can make an array of it."""
    if any(length < 0 for length in found.shape):
        return False
    if found.kind == ARRAY and found.dtype is not None:
        items = math.prod(max(length, 1) for length in found.shape)
        return items * found.dtype.itemsize <= sys.maxsize
    dimensions = {RAW: 0, BYTES: 1, PICKLE: 1, FROZEN: 1}.get(found.kind)
    plain = found.dtype is None and found.strides is None
    return plain and dimensions == len(found.shape)


def extent(found: Description) -> tuple[int, int]:
    """Return the first byte that is described, and the one after the last."""
    itemsize = 1 if found.dtype is None else found.dtype.itemsize
    if 0 in found.shape:
        return found.offset, found.offset
    if found.strides is None:
        return found.offset, found.offset + math.prod(found.shape) * itemsize
    steps = [
        (length - 1) * stride for length, stride in zip(found.shape, found.strides, strict=True)
    ]
    first = found.offset + sum(step for step in steps if step < 0)
    return first, found.offset + sum(step for step in steps if step > 0) + itemsize


def encode_array(array: np.ndarray[Any, Any], offset: int, read_only: bool = False) -> bytes:
    """Describe an array that begins `offset` bytes into its object, as bytes.

    Raises
    ------
    TypeError : its dtype cannot be described (dtypes.py).
    """
    found: ndarray = array
    flags: cython.int = cnp.PyArray_FLAGS(found)
    if cnp.PyArray_SIZE(found) == 0:
        offset = 0  # an empty slice may begin anywhere, even before the object
    strides = None if flags & cnp.NPY_ARRAY_C_CONTIGUOUS else array.strides
    read_only = read_only or not flags & cnp.NPY_ARRAY_WRITEABLE
    of = b"" if type(array) is Array or type(array) is ndarray else subclass_of(array)
    dtype = array.dtype
    if dtype.names is None and dtype.metadata is None:
        return _encode_plain(dtype, array.shape, strides, offset, read_only, of)
    # Dtypes that differ in metadata or in their scalars' class are equal, but not as text.
    return _encode(ARRAY, offset, array.shape, strides, dtype_text(dtype), read_only, of)


@lru_cache(maxsize=1024)
def _encode_plain(
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None,
    offset: int,
    read_only: bool,
    of: bytes,
) -> bytes:
    return _encode(ARRAY, offset, shape, strides, dtype_text(dtype), read_only, of)
