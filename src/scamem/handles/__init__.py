"""Names, handles and pickling; and the functions of the default arena."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from scamem.arrays.array import Array

from .arena import Arena


def default() -> Arena:
    """Return the default arena, made if there is none; see `Arena.default`."""
    return Arena.default()


def empty(shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
    """Return an uninitialised array on scattered memory, in the default arena.

    Parameters
    ----------
    shape : an int or ints.
    dtype : anything but one that holds Python objects.
    order : "C" or "F".
    node, zone : where its frames come from (keywords); None: anywhere.

    Raises
    ------
    OutOfMemoryError : a MemoryError that names the limit.
    TooScatteredError : the free frames are too scattered for one view.
    TypeError, ValueError : as NumPy's, and for dtypes that hold Python objects.

    Ownership: the memory is one reference, dropped with the last view of it in this process.
    Threads: any. fork: the child's copy is held by a reference of the child's own.
    """
    return Arena.default().empty(shape, dtype, order, **where)


def zeros(shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
    """Return an array of zeros on scattered memory; parameters and errors as `empty`."""
    return Arena.default().zeros(shape, dtype, order, **where)


def full(
    shape: Any, fill_value: Any, dtype: DTypeLike | None = None, order: str = "C", **where: Any
) -> Array:
    """Return an array filled with a value; parameters and errors as `empty`."""
    return Arena.default().full(shape, fill_value, dtype, order, **where)


def array(values: ArrayLike, dtype: DTypeLike | None = None, **where: Any) -> Array:
    """Return a copy of an array, or of what NumPy makes one of, on scattered memory.

    Parameters
    ----------
    values, dtype : as np.array.
    order : "K", "A", "C" or "F" (keyword).

    Errors and ownership as `empty`.
    """
    return Arena.default().array(values, dtype, **where)


def asarray(values: ArrayLike, dtype: DTypeLike | None = None, **where: Any) -> Array:
    """Return values themselves if they lie in the default arena already, else a copy there."""
    return Arena.default().asarray(values, dtype, **where)
