"""Making arrays in an arena: as NumPy's functions of the same names, on scattered memory."""

from __future__ import annotations

import math
import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from scamem.arena.view import View
from scamem.core.store import layout as L

from .array import Array, locate, root
from .construct import new_array

if TYPE_CHECKING:
    from scamem.arena.arena import ArenaBase
    from scamem.arena.member import Hold

OFFSET_FROM_BYTES = 1 << 20  # arrays of at least so many bytes choose where in a frame they begin
OFFSET_BYTES = 384  # (destination - source) modulo a frame; see offset_for_copy()
ALIGN_BYTES = 64
DIMENSIONS_MAX = 64


def checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return a dtype that frames can hold.

    Raises
    ------
    TypeError : it holds references to Python objects, which mean nothing in another process.
    """
    found = np.dtype(dtype)
    if found.hasobject:
        raise TypeError(
            f"asked for an array of dtype {found}: it holds Python objects, which live in one "
            "process. Use a fixed-width dtype (numbers, 'S20', 'U20', structured), or "
            "arena.put(obj), which pickles what cannot be shared"
        )
    if found.itemsize == 0 and found.kind in "SU":
        return np.dtype(f"{found.byteorder}{found.kind}1")  # as NumPy: no string is empty for good
    return found


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Return a shape as a tuple; TypeError or ValueError as NumPy's."""
    found: tuple[int, ...]
    try:
        found = (operator.index(shape),)
    except TypeError:
        found = tuple(operator.index(length) for length in shape)
    if any(length < 0 for length in found):
        raise ValueError("negative dimensions are not allowed")
    if any(length > sys.maxsize for length in found):
        raise ValueError("Maximum allowed dimension exceeded")
    return found


def checked_nbytes(shape: tuple[int, ...], itemsize: int) -> int:
    """Return an array's bytes; ValueError where NumPy's is, also if a length is 0."""
    if len(shape) > DIMENSIONS_MAX:
        raise ValueError(
            f"maximum supported dimension for an ndarray is {DIMENSIONS_MAX}, found {len(shape)}"
        )
    if itemsize * math.prod(max(length, 1) for length in shape) > sys.maxsize:
        raise ValueError(
            f"array is too big: {shape} of {itemsize} bytes each is more than an address space"
        )
    return itemsize * math.prod(shape)


def empty(
    arena: ArenaBase,
    shape: Any,
    dtype: DTypeLike = float,
    order: str = "C",
    *,
    node: int | str | None = None,
    zone: str | None = None,
    offset: int = 0,
    kind: type[Array] = Array,
) -> Array:
    """Return an uninitialised array in an arena.

    Parameters
    ----------
    shape : an int or ints.
    dtype : anything but one that holds Python objects.
    order : "C" or "F".
    node, zone : as `Arena.alloc`.
    offset : bytes from the object's start to the array's; it begins on a frame otherwise.

    Raises
    ------
    OutOfMemoryError : with the limit that was met.
    TooScatteredError : the free frames are so scattered that one view of them cannot be had.
    TypeError, ValueError : as NumPy's, and for dtypes that hold Python objects.

    Ownership: the array's memory is one reference, dropped with the last view of it.
    """
    kind_of = checked_dtype(dtype)
    lengths = checked_shape(shape)
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F', not {order!r}")
    if kind_of.subdtype is not None:
        kind_of, inner = kind_of.subdtype
        lengths += inner
    nbytes = checked_nbytes(lengths, kind_of.itemsize)
    strides = fortran_strides(lengths, kind_of.itemsize) if order == "F" else None
    hold = arena.alloc_hold(nbytes + offset, L.BY_PIN, node=node, zone=zone)
    return over(arena, hold, offset, lengths, kind_of, strides, kind=kind)


def fortran_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the strides, in bytes, of a Fortran-ordered array."""
    strides = []
    step = itemsize
    for length in shape:
        strides.append(step)
        step *= max(length, 1)
    return tuple(strides)


def over(
    arena: ArenaBase,
    hold: Hold,
    offset: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    strides: tuple[int, ...] | None = None,
    *,
    writable: bool = True,
    kind: type[Array] = Array,
) -> Array:
    """Return an array over a held object; the caller has checked that it lies inside.

    Ownership: the array takes the reference over (a stitched view takes one of its own).
    """
    address = arena.direct_address_of(hold, writable)
    base: Any = hold
    if address == 0:
        base = arena.make_view(hold, L.BY_MAPPING, writable=writable)
        address = base.address
    made: Array = new_array(kind, dtype, shape, strides, address + offset, writable, base)
    return made


def zeros(
    arena: ArenaBase, shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any
) -> Array:
    """Return an array of zeros; see `empty`."""
    made = empty(arena, shape, dtype, order, **where)
    if made.nbytes:
        bytes_of(made).fill(0)
    return made


def bytes_of(array: Array) -> NDArray[np.uint8]:
    """Return a contiguous array's memory as bytes."""
    flat = array.T if array.flags.f_contiguous else array
    return np.frombuffer(flat.view(np.ndarray).reshape(-1).view(np.uint8).data, np.uint8)


def full(
    arena: ArenaBase,
    shape: Any,
    fill_value: Any,
    dtype: DTypeLike | None = None,
    order: str = "C",
    **where: Any,
) -> Array:
    """Return an array filled with a value, of its dtype unless one is given; see `empty`."""
    kind = np.asarray(fill_value).dtype if dtype is None else dtype
    made = empty(arena, shape, kind, order, **where)
    made[...] = fill_value
    return made


def array(
    arena: ArenaBase,
    values: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    order: str = "K",
    node: int | str | None = None,
    zone: str | None = None,
) -> Array:
    """Return a copy of an array, or of what NumPy makes an array of, in an arena.

    Arrays of 1 MiB and more begin where in a frame the copy is fastest, which may take one frame
    more. See `empty` for errors and ownership.
    """
    if order not in ("K", "A", "C", "F"):
        raise ValueError(f"order must be one of 'K', 'A', 'C' or 'F', not {order!r}")
    source = np.asarray(values, dtype=dtype)
    kind = checked_dtype(source.dtype)
    nbytes = checked_nbytes(source.shape, kind.itemsize)
    offset = offset_for_copy(arena, source, nbytes)
    strides = kept_strides(source, kind.itemsize, order)
    hold = arena.alloc_hold(nbytes + offset, L.BY_PIN, node=node, zone=zone)
    made = over(arena, hold, offset, source.shape, kind, strides)
    np.copyto(made.view(np.ndarray), source, casting="safe")
    return made


def offset_for_copy(arena: ArenaBase, source: NDArray[Any], nbytes: int) -> int:
    """Return where in its first frame a copy of an array should begin, in bytes.

    A copy whose stores and loads are close by in the low 12 bits of the address waits for itself
    ("4K aliasing"), on some processors up to 128 bytes apart, on others from 512 bytes on.
    """
    if nbytes < OFFSET_FROM_BYTES:
        return 0
    start = source.__array_interface__["data"][0] % arena.frame_bytes
    return int(-(-(start + OFFSET_BYTES) // ALIGN_BYTES) * ALIGN_BYTES % arena.frame_bytes)


def kept_strides(source: NDArray[Any], itemsize: int, order: str) -> tuple[int, ...] | None:
    """Return the strides of a copy in an order, None for C order; "K" keeps the order of axes."""
    flags = source.flags
    if order == "C" or (order != "F" and flags.c_contiguous):
        return None
    if order == "F" or flags.f_contiguous:
        return fortran_strides(source.shape, itemsize)
    if order == "A":
        return None
    strides = [0] * source.ndim
    step = itemsize
    for axis in sorted(range(source.ndim), key=lambda axis: (abs(source.strides[axis]), -axis)):
        strides[axis] = step
        step *= source.shape[axis]
    return tuple(strides)


def asarray(
    arena: ArenaBase,
    values: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    order: str = "K",
    writable: bool = True,
    **where: Any,
) -> Array:
    """Return an array itself, as an Array, if it lies in this arena already, else a copy there.

    It is copied also where dtype or order ask for another; see `array`. With writable=False what is
    returned is read-only, as by `Array.readonly`.
    """
    if not writable:
        return asarray(arena, values, dtype, order=order, **where).readonly()
    if isinstance(values, np.ndarray) and (dtype is None or np.dtype(dtype) == values.dtype):
        flags = values.flags
        ordered = {"C": flags.c_contiguous, "F": flags.f_contiguous}.get(order, True)
        place = locate(values) if ordered else None
        base = root(values) if ordered else None
        hold = place.hold if place is not None else None
        if isinstance(base, View) and base.parts is not None:
            hold = base.hold
        if hold and hold.member is arena.member:
            return values if isinstance(values, Array) else values.view(Array)
    return array(arena, values, dtype, order=order, **where)


def readonly(values: Array) -> Array:
    """Return a read-only array of the same memory; see Array.readonly."""
    place = locate(values)
    if not values.flags.writeable:
        return values
    if place is None:
        made: Array = values.view()
        made.flags.writeable = False
        return made
    return over(
        place.hold.member.owner,
        place.hold.another(L.BY_PIN),
        place.offset,
        values.shape,
        values.dtype,
        values.strides,
        writable=False,
        kind=type(values),
    )


def snapshot(values: Array, copy: bool | None) -> Array:
    """Return an array as it is now; see Array.snapshot."""
    base = root(values)
    if not copy and isinstance(base, View) and base.growing and not values.flags.writeable:
        return values
    if copy is False:
        raise ValueError(
            f"asked for a snapshot of {values.nbytes:,} bytes without a copy (copy=False); other "
            "processes may write these frames, and nothing could stop them. Use copy=None, or "
            "append to a GrowableArray, whose rows do not change"
        )
    place = locate(values)
    if place is not None:
        return array(place.hold.member.owner, values)
    if isinstance(base, View):
        return array(base.hold.member.owner, values)
    raise TypeError("asked for a snapshot of an array in private memory: use its copy()")
