"""Create arrays in an arena, with functions named as NumPy's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from scamem.core.store import layout as L
from scamem.membership.seat import Seat
from scamem.memory.allocation import Where, allocate
from scamem.views.view import View

from .array import Array
from .checks import checked_dtype, checked_nbytes, checked_shape
from .construct import array_fast
from .over import copied, fortran_strides, kept_strides, over
from .place import locate, root

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

NUMBERS = frozenset("biuf")


def empty(
    seat: Seat,
    shape: Any,
    dtype: DTypeLike = float,
    order: str = "C",
    *,
    node: int | str | None = None,
    zone: str | None = None,
    offset: int = 0,
    kind: type[Array] = Array,
) -> Array:
    """Create an uninitialised array in an arena.

    Parameters
    ----------
    shape : an int or ints.
    dtype : any dtype that holds no Python objects.
    order : "C" or "F".
    node, zone : as `Arena.alloc`.
    offset : where the array begins, in bytes from the object's start, which is a frame boundary.

    Raises
    ------
    OutOfMemoryError : names the limit that was met.
    TooScatteredError : the free frames are too scattered for one contiguous view.
    TypeError, ValueError : as NumPy; also for a dtype that holds Python objects.

    Ownership: the array holds one reference, dropped with the last array over its memory.
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
    hold = allocate(seat, nbytes + offset, L.BY_PIN, node=node, zone=zone)
    return over(seat, hold, offset, lengths, kind_of, strides, kind=kind)


def empty_like(
    seat: Seat,
    prototype: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Unpack[Where],
) -> Array:
    """Create an uninitialised array in an arena, of another array's shape, dtype and axis order.

    Parameters
    ----------
    prototype : an array, or anything that np.asarray takes.
    dtype, shape : used in place of the prototype's; a shape with another number of axes is in C
        order.
    order : "K" (as the prototype), "A", "C" or "F".
    node, zone : as `Arena.alloc`.

    Errors and ownership: as `empty`.
    """
    if order not in ("K", "A", "C", "F"):
        raise ValueError(f"order must be one of 'K', 'A', 'C' or 'F', not {order!r}")
    source = np.asarray(prototype)
    kind = checked_dtype(source.dtype if dtype is None else dtype)
    lengths = source.shape if shape is None else checked_shape(shape)
    if kind.subdtype is not None:
        return empty(seat, lengths, kind, "F" if order == "F" else "C", **where)
    nbytes = checked_nbytes(lengths, kind.itemsize)
    strides = kept_strides(source, kind.itemsize, order, lengths)
    hold = allocate(seat, nbytes, L.BY_PIN, **where)
    return over(seat, hold, 0, lengths, kind, strides, kind=Array)


def zeros(
    seat: Seat, shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Unpack[Where]
) -> Array:
    """Create an array of zeros; see `empty`."""
    return zeroed(empty(seat, shape, dtype, order, **where))


def zeroed(array: Array) -> Array:
    """Fill a new array with zeros. Needs: its bytes are contiguous, in some order of axes."""
    if array.nbytes:
        bytes_of(array).fill(0)
    return array


def bytes_of(array: Array) -> NDArray[np.uint8]:
    """Return an array's memory as bytes. Needs: it is contiguous in some order of axes."""
    axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    flat = array if array.flags.c_contiguous else array.transpose(axes)
    return np.frombuffer(flat.view(np.ndarray).reshape(-1).view(np.uint8).data, np.uint8)


def full(
    seat: Seat,
    shape: Any,
    fill_value: Any,
    dtype: DTypeLike | None = None,
    order: str = "C",
    **where: Unpack[Where],
) -> Array:
    """Create an array filled with a value, of the value's dtype by default; see `empty`."""
    kind = np.asarray(fill_value).dtype if dtype is None else dtype
    made = empty(seat, shape, kind, order, **where)
    made[...] = fill_value
    return made


def array(
    seat: Seat,
    values: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    order: str = "K",
    node: int | str | None = None,
    zone: str | None = None,
) -> Array:
    """Copy an array, or anything that np.asarray takes, to a new array in an arena.

    Errors and ownership: see `empty`.
    """
    if dtype is None and order == "K" and node is None and zone is None and not seat.closed:
        found: Array | None = array_fast(seat.member, Array, values)
        if found is not None:
            return found
    if order not in ("K", "A", "C", "F"):
        raise ValueError(f"order must be one of 'K', 'A', 'C' or 'F', not {order!r}")
    if dtype is not None and isinstance(values, np.ndarray):
        wanted = np.dtype(dtype)
        if wanted != values.dtype and {wanted.kind, values.dtype.kind} <= NUMBERS:
            made = empty_like(seat, values, wanted, order, node=node, zone=zone)
            np.copyto(made.view(np.ndarray), values, casting="unsafe")  # no temporary in between
            return made
    return copied(seat, np.asarray(values, dtype=dtype), order, node=node, zone=zone, kind=Array)


def asarray(
    seat: Seat,
    values: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    order: str = "K",
    writable: bool = True,
    **where: Unpack[Where],
) -> Array:
    """Return an array, as an Array, if it lies in this arena already; else a copy.

    It is also copied if dtype or order requires it; see `array`. With writable=False the result is
    read-only, as from `Array.readonly`.
    """
    if not writable:
        return asarray(seat, values, dtype, order=order, **where).readonly()
    if isinstance(values, np.ndarray) and (dtype is None or np.dtype(dtype) == values.dtype):
        flags = values.flags
        ordered = {"C": flags.c_contiguous, "F": flags.f_contiguous}.get(order, True)
        place = locate(values) if ordered else None
        base = root(values) if ordered else None
        hold = place.hold if place is not None else None
        if isinstance(base, View) and base.parts is not None:
            hold = base.hold
        if hold and hold.member is seat.member:
            return values if isinstance(values, Array) else values.view(Array)
    return array(seat, values, dtype, order=order, **where)
