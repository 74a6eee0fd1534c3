"""Names, handles and pickling; and the functions of the default arena."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scamem.arena.member import Hold
from scamem.arena.view import View
from scamem.arrays.array import Array, root

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


def concatenate(arrays: Sequence[ArrayLike], axis: int = 0, copy: bool | None = None) -> Array:
    """Join arrays along an axis; where that can be, as one view of their frames and not a copy.

    It can be where all are of one dtype and lie in one arena, each C-contiguous in one object, and
    each but the last ends on a frame boundary (4,096 bytes), each but the first begins on one.
    `empty` and `zeros` begin on one; `array` of 1 MiB and more does not.

    Parameters
    ----------
    arrays : the arrays, or what NumPy makes arrays of.
    axis : along which; only the first (of those that are longer than 1) can do without a copy.
    copy : None: only if needed; True: always; False: ValueError that says why it would be needed.

    Returns
    -------
    Array : in the arena of the first array that lies in one, else in the default arena. Not copied,
        it shares memory with its parts, and is read-only if one of them is. Between processes it
        goes by handle; it has no name and no `scamem.handle`, since it is not one object.

    Raises
    ------
    OutOfMemoryError, TooScatteredError : as `empty`; the second also with copy=False.
    ValueError, TypeError : as np.concatenate.

    Ownership: it holds one reference (a mapping) on each object. Cost: one mmap a run of frames.
    """
    arena: Any = None
    for values in arrays:
        base = root(values) if isinstance(values, np.ndarray) else None
        hold = base.hold if isinstance(base, View) else base
        if arena is None and isinstance(hold, Hold):
            arena = hold.member.owner
    chosen: Arena = arena or Arena.default()
    return chosen.concatenate(arrays, axis, copy)
