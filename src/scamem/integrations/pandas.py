"""DataFrames on frames: their NumPy and Arrow memory is stored once and never copied again.

Importing this module also lets DataFrames, Series and Indexes whose memory lies in an arena travel
by handle between processes.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from scamem.arena import Arena
from scamem.handles.handle import Handle
from scamem.handles.values import put_split, value_of, writable_value_of

from .buffers import register_buffers, split
from .store import Key, arena_or_default, named, stored

KINDS = (pd.DataFrame, pd.Series, pd.Index)


def put(
    frame: pd.DataFrame | pd.Series[Any] | pd.Index[Any],
    arena: Arena | None = None,
    name: str | None = None,
) -> Handle:
    """Store a DataFrame, Series or Index as it is, and return a handle of it.

    >>> handle = scamem.integrations.pandas.put(pd.DataFrame({"x": [1, 2], "s": ["a", "b"]}))
    >>> int(scamem.integrations.pandas.get(handle)["x"].sum())
    3

    Parameters
    ----------
    arena : None: the default arena.
    name : publish it under this name; a name that exists gets the new value.

    Numbers, dates, categories and Arrow types (such as pandas' own `str`) are copied once, into the
    frames. Columns of Python objects (dtype `object`) are pickled, and unpickled by each `get`.

    Raises
    ------
    TypeError : this is not a DataFrame, Series or Index. OutOfMemoryError : names the limit.

    Ownership: the handle is one reference; the frame stays the caller's.
    """
    if not isinstance(frame, KINDS):
        raise TypeError(
            f"asked to store a {type(frame).__name__} as a DataFrame; give a DataFrame, Series or "
            "Index. arena.put stores any object"
        )
    where = arena_or_default(arena)
    return named(where, name, put_split(where._seat, *split(frame)))


def get(
    key: Key, arena: Arena | None = None, timeout: float | None = None, *, writable: bool = False
) -> Any:
    """Return a stored DataFrame, Series or Index, over the frames; numbers are not copied.

    Parameters
    ----------
    key : a name, a Handle, or the bytes of a Handle.
    arena : where the name is; None: the default arena.
    timeout : for a name: seconds to wait until it is published.
    writable : False: NumPy columns are read-only, and an assignment to part of one raises
        ValueError. True: what is assigned to part of a column (`df.loc[rows, "x"] = 0`,
        `df["x"].array[0] = 0`) is written to the frames, so all processes see it; pandas puts a
        whole column that is assigned (`df["x"] = ...`) into private memory, as it does all results.

    Raises
    ------
    NameNotFoundError, StaleHandleError and others : as `Arena.get`.
    TypeError : the stored value is not pandas'.

    Ownership: the columns hold the object until the last of them is deallocated.
    """
    found, what = stored(key, arena, timeout, writable_value_of if writable else value_of)
    if not isinstance(found, KINDS):
        raise TypeError(
            f"asked for {what} as a DataFrame; it is a {type(found).__name__}. Use arena.get for "
            "it, or store it with scamem.integrations.pandas.put"
        )
    return found


for _kind in (pd.DataFrame, pd.Series, pd.Index, pd.RangeIndex, pd.DatetimeIndex):
    if _kind is not pd.RangeIndex:  # it has no memory
        register_buffers(_kind)
