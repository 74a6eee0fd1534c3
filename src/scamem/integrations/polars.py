"""polars DataFrames on frames: stored once as an Arrow table, and read by any process as views.

Importing this module also lets DataFrames whose memory lies in an arena travel by handle between
processes.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from scamem.arena import Arena
from scamem.handles.elsewhere import register_reducer
from scamem.handles.handle import Handle
from scamem.handles.shared import is_partly_shared

from . import arrow
from .buffers import DEFAULT_PROTOCOL
from .store import Key

NEWEST = pl.CompatLevel.newest()  # strings as polars has them, so nothing is converted


def put(frame: pl.DataFrame, arena: Arena | None = None, name: str | None = None) -> Handle:
    """Store a DataFrame as an Arrow table and return a handle of it.

    >>> handle = scamem.integrations.polars.put(pl.DataFrame({"x": [1, 2], "s": ["a", None]}))
    >>> scamem.integrations.polars.get(handle)["x"].sum()
    3

    Parameters
    ----------
    frame : collect a LazyFrame first.
    arena : None: the default arena.
    name : publish it under this name; a name that exists gets the new frame.

    Its memory is copied once, into the frames. A DataFrame that `get` returned is copied again.

    Raises
    ------
    TypeError : this is not a DataFrame, or it has a column of Python objects.
    OutOfMemoryError : names the limit; nothing was stored.

    Ownership: the handle is one reference; the frame stays the caller's.
    """
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(
            f"asked to store a {type(frame).__name__} as a polars DataFrame; collect() a LazyFrame"
            ", and put a Series into a DataFrame (to_frame())"
        )
    return arrow.put(_table_of(frame), arena, name)


def get(key: Key, arena: Arena | None = None, timeout: float | None = None) -> pl.DataFrame:
    """Return a stored DataFrame, or any stored Arrow table, as a polars DataFrame over the frames.

    Parameters, errors: as `scamem.integrations.arrow.get`.

    Nothing is copied of what polars stored, except categories, and decimals that do not lie on a
    boundary of 16 bytes. Of other tables polars also copies text that is not `string_view`.
    `scamem.explain` says how much was.

    Ownership: the frame's columns hold the object until the last of them is deallocated.
    """
    return _frame_of(arrow.get(key, arena, timeout))


def _table_of(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=NEWEST)


def _frame_of(table: pa.Table) -> pl.DataFrame:
    found = pl.from_arrow(table, rechunk=False)
    return found if isinstance(found, pl.DataFrame) else found.to_frame()


def _reduce(frame: pl.DataFrame) -> Any:
    """Pickle a DataFrame for another process: by handle if its memory lies in an arena."""
    if not is_partly_shared(frame):
        return frame.__reduce_ex__(DEFAULT_PROTOCOL)
    return _frame_of, (_table_of(frame),)


register_reducer(pl.DataFrame, _reduce)
