"""`is_shared`: whether an object's memory is shared, also for objects of other libraries."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from scamem.arrays.place import root
from scamem.looks.addresses import seat_at
from scamem.membership.member import Hold
from scamem.membership.seat import Seat
from scamem.objects.scamem import Scamem
from scamem.views.view import View

from .convert import scamem_of
from .handle import Handle

Span = tuple[int, int]  # address, bytes
SPARSE_PARTS = ("data", "indices", "indptr", "offsets", "coords", "row", "col")


def is_shared(value: Any) -> bool:
    """Return whether an object's memory lies in an arena, where other processes can have it too.

    >>> scamem.is_shared(scamem.zeros(3)), scamem.is_shared(np.zeros(3))
    (True, False)

    Parameters
    ----------
    value : an array, or anything with a buffer; an object of pandas, polars, pyarrow, torch (on the
        CPU) or scipy.sparse, all of whose data must be shared; a Handle, Scamem or View.

    Returns
    -------
    bool : False also for copy-on-write views, and if it cannot be determined.

    How a value *travels* is another question, see `explain`: a plain ndarray over an arena's memory
    is shared, but is pickled by value. Threads: any.
    """
    if isinstance(value, Handle) or isinstance(scamem_of(value), Scamem):
        return True
    try:
        return all(_is_in_arena(part) for part in _parts(value))
    except (TypeError, ValueError, RuntimeError, AttributeError, ImportError, BufferError):
        return False  # its library gives no access to its memory, or it has none


def is_partly_shared(value: Any) -> bool:
    """Return whether any part of an object's memory lies in an arena; see `is_shared`."""
    try:
        return any(_is_in_arena(part) for part in _parts(value))
    except (TypeError, ValueError, RuntimeError, AttributeError, ImportError, BufferError):
        return False


def seat_of(array: np.ndarray[Any, Any]) -> Seat | None:
    """Return the seat of the arena whose shared memory an array uses; None if it is private."""
    base = root(array)
    hold = base.hold if isinstance(base, View) and not base.private else base
    if isinstance(hold, Hold):
        found: Seat = hold.member.seat
        return found
    if isinstance(base, View):
        return None
    low, high = byte_bounds(array)
    return seat_at(low, high - low)


def _is_in_arena(part: np.ndarray[Any, Any] | Span) -> bool:
    if isinstance(part, np.ndarray):
        return seat_of(part) is not None
    return seat_at(*part) is not None


def _parts(value: Any) -> Iterable[np.ndarray[Any, Any] | Span]:
    """Return the pieces of memory that hold an object's data.

    Raises
    ------
    TypeError and others : they are not accessible without a copy.
    """
    if isinstance(value, np.ndarray):
        return (value,)
    read = _READERS.get(type(value).__module__.partition(".")[0])
    found = list(read(value)) if read is not None else [np.frombuffer(value, np.uint8)]
    if not found:
        raise TypeError("no data")
    return found


def _of_torch(value: Any) -> Iterator[Span]:
    storage = value.untyped_storage()
    yield storage.data_ptr(), storage.nbytes()


def _of_pandas(value: Any) -> Iterator[np.ndarray[Any, Any] | Span]:
    columns = [column for _, column in value.items()] if value.ndim == 2 else [value]
    for column in columns:
        stored = column.array
        if hasattr(stored, "_pa_array"):  # strings, and pandas' other Arrow types
            yield from _of_pyarrow(stored._pa_array)
        elif hasattr(stored, "_mask"):  # integers, floats and booleans with missing values
            yield from (stored._data, stored._mask)
        else:  # dates and categories have their numbers in _ndarray
            numbers = getattr(stored, "_ndarray", None)
            yield column.to_numpy(copy=False) if numbers is None else numbers


def _of_polars(value: Any) -> Iterator[np.ndarray[Any, Any] | Span]:
    if "pyarrow" in sys.modules:
        compatible = sys.modules["polars"].CompatLevel.newest()
        yield from _of_pyarrow(value.to_arrow(compat_level=compatible))
        return
    for column in value.get_columns() if hasattr(value, "get_columns") else [value]:
        yield column.to_numpy(allow_copy=False)


def _of_pyarrow(value: Any) -> Iterator[Span]:
    if hasattr(value, "address"):
        yield value.address, value.size
    elif hasattr(value, "buffers"):
        for buffer in value.buffers():
            if buffer is not None and buffer.size:
                yield buffer.address, buffer.size
        if getattr(value, "dictionary", None) is not None:
            yield from _of_pyarrow(value.dictionary)
    else:
        for part in value.chunks if hasattr(value, "chunks") else value.columns:
            yield from _of_pyarrow(part)


def _of_scipy(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    for name in SPARSE_PARTS:
        part = getattr(value, name, None)
        yield from part if isinstance(part, tuple) else () if part is None else (part,)


_READERS: dict[str, Callable[[Any], Iterator[Any]]] = {
    "pandas": _of_pandas,
    "polars": _of_polars,
    "pyarrow": _of_pyarrow,
    "scipy": _of_scipy,
    "torch": _of_torch,
}
