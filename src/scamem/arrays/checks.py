"""Check that frames can hold a dtype and a shape; raise NumPy's errors otherwise."""

from __future__ import annotations

import math
import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

DIMENSIONS_MAX = 64


def checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the dtype, if frames can hold it.

    Raises
    ------
    TypeError : it holds references to Python objects, which have no meaning in another process.
    """
    found = np.dtype(dtype)
    if found.hasobject:
        raise TypeError(
            f"asked for an array of dtype {found}: it holds Python objects, which live in one "
            "process. Use a fixed-width dtype (numbers, 'S20', 'U20', structured), or "
            "arena.put(obj), which pickles what cannot be shared"
        )
    if found.itemsize == 0 and found.kind in "SU":
        return np.dtype(f"{found.byteorder}{found.kind}1")  # as NumPy: at least 1 character
    return found


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape as a tuple; raise TypeError or ValueError as NumPy does."""
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
    """Return an array's size in bytes; raise ValueError as NumPy does, also if a length is 0."""
    if len(shape) > DIMENSIONS_MAX:
        raise ValueError(
            f"maximum supported dimension for an ndarray is {DIMENSIONS_MAX}, found {len(shape)}"
        )
    if itemsize * math.prod(max(length, 1) for length in shape) > sys.maxsize:
        raise ValueError(
            f"array is too big: {shape} of {itemsize} bytes each is more than an address space"
        )
    return itemsize * math.prod(shape)
