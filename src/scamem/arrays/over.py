"""Create arrays over frames, and copy arrays to frames: the common part of all constructors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from scamem.core.store import layout as L
from scamem.membership.member import Hold
from scamem.membership.seat import Seat
from scamem.memory.allocation import allocate
from scamem.views.making import contiguous, direct_address_of

from .checks import checked_dtype, checked_nbytes
from .construct import copy_array, new_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = TypeVar("Kind", bound="np.ndarray[Any, Any]")


def over(
    seat: Seat,
    hold: Hold,
    offset: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    strides: tuple[int, ...] | None = None,
    *,
    writable: bool = True,
    private: bool = False,
    kind: type[Kind],
) -> Kind:
    """Create an array, of type `kind`, over a held object. Needs: it fits into the object.

    `private`: writable, and what this process writes stays here. Otherwise the array is read-only
    in a process that joined with readonly=True.

    Ownership: the array takes the reference over (a stitched or private view takes its own).
    """
    writable = writable and not seat.readonly
    address = 0 if private else direct_address_of(seat, hold, writable)
    base: Any = hold
    if private:
        writable = True
        base = contiguous(seat, hold, L.BY_MAPPING, private=True)
        address = base.address
    elif address == 0:
        base = contiguous(seat, hold, L.BY_MAPPING, writable=writable)
        address = base.address
    made: Kind = new_array(kind, dtype, shape, strides, address + offset, writable, base)
    return made


def copied(
    seat: Seat,
    source: NDArray[Any],
    order: str,
    *,
    node: int | str | None = None,
    zone: str | None = None,
    kind: type[Kind],
) -> Kind:
    """Copy an array to a new array, of type `kind`, in an arena."""
    dtype = checked_dtype(source.dtype)
    nbytes = checked_nbytes(source.shape, dtype.itemsize)
    strides = kept_strides(source, dtype.itemsize, order)
    hold = allocate(seat, nbytes, L.BY_PIN, node=node, zone=zone)
    made = over(seat, hold, 0, source.shape, dtype, strides, kind=kind)
    copy_array(made, source)
    return made


def fortran_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the strides, in bytes, of a Fortran-ordered array."""
    strides = []
    step = itemsize
    for length in shape:
        strides.append(step)
        step *= max(length, 1)
    return tuple(strides)


def kept_strides(
    source: NDArray[Any], itemsize: int, order: str, shape: tuple[int, ...] | None = None
) -> tuple[int, ...] | None:
    """Return the strides of a copy in an order; None for C order. "K" keeps the order of axes.

    Parameters
    ----------
    shape : if it differs from the source's.
    """
    flags = source.flags
    shape = source.shape if shape is None else shape
    if order == "K" and len(shape) != source.ndim:
        return None  # there is no order of axes to keep
    if order == "C" or (order != "F" and flags.c_contiguous):
        return None
    if order == "F" or flags.f_contiguous:
        return fortran_strides(shape, itemsize)
    if order == "A":
        return None
    strides = [0] * source.ndim
    step = itemsize
    for axis in sorted(range(source.ndim), key=lambda axis: (abs(source.strides[axis]), -axis)):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)
