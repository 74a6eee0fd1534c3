"""Arrow tables on frames: written once, as an Arrow IPC stream, and read by any process as views.

Importing this module also lets pyarrow's tables, batches and arrays whose buffers lie in an arena
travel by handle between processes.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from scamem.arena import Arena
from scamem.arrays.array import Array
from scamem.handles import convert
from scamem.handles.handle import Handle
from scamem.handles.shared import seat_of
from scamem.objects.scamem import Scamem

from .buffers import register_buffers
from .exact import exact_numbers, read_texts
from .store import Key, arena_or_default, named, stored

FILE_MAGIC = b"ARROW1"  # of an Arrow file (Feather); a stream has none
PIECE_BYTES_MIN = 1 << 20  # a table of unknown size is written in pieces, each twice as large
PIECE_BYTES_MAX = 64 << 20
COPY_THREADS = 2

HOMES_MIN = 64

# Tables by identity, with the bytes that they were made from.
_homes: dict[int, tuple[weakref.ref[pa.Table], weakref.ref[np.ndarray[Any, Any]]]] = {}

Path = str | os.PathLike[str]


def put(table: Any, arena: Arena | None = None, name: str | None = None) -> Handle:
    """Store a table and return a handle of it.

    >>> handle = scamem.integrations.arrow.put(pa.table({"x": [1, 2], "s": ["a", None]}))
    >>> scamem.integrations.arrow.get(handle)["s"].to_pylist()
    ['a', None]

    Parameters
    ----------
    table : a pyarrow Table or RecordBatch; a RecordBatchReader, of which one batch at a time is
        read; or an object with `__arrow_c_stream__` (polars, pandas, DuckDB and others).
    arena : None: the default arena.
    name : publish it under this name; a name that exists gets the new table.

    All Arrow types can be stored. Buffers are copied once, into the frames. Of a slice only its
    rows are (of `string_view` columns all text). A table that `get` or `read_parquet` returned is
    not copied.

    Raises
    ------
    TypeError : this is not a table. OutOfMemoryError : names the limit; nothing was stored.

    Ownership: the handle is one reference; the table stays the caller's.
    """
    where = arena_or_default(arena)
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if isinstance(table, pa.Table):
        data = _home(where, table)
        made = convert.handle(_written(where, table) if data is None else data)
    else:
        with _reader_of(table) as reader:
            made = _written_in_pieces(where, reader)
    return named(where, name, made)


def get(key: Key, arena: Arena | None = None, timeout: float | None = None) -> pa.Table:
    """Return a stored table as a pyarrow Table over the frames; nothing is copied.

    Parameters
    ----------
    key : a name, a Handle, or the bytes of a Handle.
    arena : where the name is; None: the default arena.
    timeout : for a name: seconds to wait until it is published.

    Raises
    ------
    NameNotFoundError, StaleHandleError and others : as `Arena.get`.
    TypeError : the stored value is not an Arrow table.

    Ownership: the table holds the object until the last of its buffers is deallocated. It is
    read-only, as all Arrow memory is.
    """
    found, what = stored(key, arena, timeout)
    if isinstance(found, pa.Table):  # stored by arena.put
        return found
    if isinstance(found, np.ndarray) and found.dtype == np.uint8 and found.ndim == 1:
        table = opened(found)
        if table is not None:
            return _kept(table, found)
    raise TypeError(
        f"asked for {what} as an Arrow table; it is a {type(found).__name__}. Use arena.get for "
        "it, or store it with scamem.integrations.arrow.put"
    )


def read_parquet(
    path: Path,
    columns: Sequence[str] | None = None,
    arena: Arena | None = None,
    name: str | None = None,
) -> pa.Table:
    """Read a Parquet file, or a folder of them, into frames; return the table over the frames.

    Parameters
    ----------
    columns : names of the columns to read, in this order; None: all.
    arena, name : as `put`.

    Rows are decoded and written some 100,000 at a time, so the table never lies in private memory
    as a whole. Errors: as pyarrow.dataset, and as `put`.

    Ownership: as `get`. The table goes to other processes by handle; `put` makes a handle of it.
    """
    return _read("parquet", path, columns, arena, name)


def read_feather(
    path: Path,
    columns: Sequence[str] | None = None,
    arena: Arena | None = None,
    name: str | None = None,
) -> pa.Table:
    """Read an Arrow file (Feather, version 2) into frames; parameters and result: `read_parquet`.

    Compressed buffers are decompressed, so that any process can use them where they lie.
    """
    return _read("feather", path, columns, arena, name)


def read_csv(
    path: Path | IO[bytes],
    columns: Sequence[str] | None = None,
    arena: Arena | None = None,
    name: str | None = None,
    *,
    delimiter: str | None = None,
) -> pa.Table:
    """Read a CSV file into frames, changing no value; return the table over the frames.

    Parameters
    ----------
    path : a file whose first line names the columns; also compressed (`.csv.gz`), or an open one.
    columns, arena, name : as `read_parquet`.
    delimiter : between values; None: "\\t" for `.tsv`, else the one that the first line has of
        comma, semicolon, tab and "|".

    A column is int64, uint64 or float64 if each value can be written as before from the number;
    else it is text. `01234`, `1_000` and whole numbers of 2^64 and more stay text. Missing numbers
    (an empty field, NA, N/A, NaN, nan, null) are null. The text is parsed in private memory.

    Raises
    ------
    pyarrow.ArrowInvalid : a row has more or fewer values than the first line, a quote is not
        closed, or the file is not UTF-8. Others: as `put`.

    Ownership: as `read_parquet`.
    """
    table = exact_numbers(read_texts(path, delimiter))
    if columns is not None:
        table = table.select(list(columns))
    return get(put(table, arena, name))


def _read(
    kind: str, path: Path, columns: Sequence[str] | None, arena: Arena | None, name: str | None
) -> pa.Table:
    from pyarrow import dataset

    scanner = dataset.dataset(os.fspath(path), format=kind).scanner(
        columns=None if columns is None else list(columns), batch_readahead=1, fragment_readahead=1
    )
    with scanner.to_reader() as reader:
        return get(put(reader, arena, name))


def _reader_of(table: Any) -> pa.RecordBatchReader:
    if isinstance(table, pa.RecordBatchReader):
        return table
    if hasattr(table, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(table)
    raise TypeError(
        f"asked to store a {type(table).__name__} as an Arrow table; give a pyarrow Table, "
        "RecordBatch or RecordBatchReader, or an object with __arrow_c_stream__. "
        "scamem.integrations.pandas stores DataFrames as they are; arena.put stores any object"
    )


def opened(data: np.ndarray[Any, Any]) -> pa.Table | None:
    """Return the table of an Arrow stream or file in memory; None if it is neither."""
    buffer = pa.py_buffer(data)
    begin = buffer[: len(FILE_MAGIC)].to_pybytes()
    try:
        with (ipc.open_file if begin == FILE_MAGIC else ipc.open_stream)(buffer) as reader:
            return reader.read_all()
    except (pa.ArrowException, OSError):  # pyarrow has no one error for bytes that are no stream
        return None


def _written(arena: Arena, table: pa.Table) -> Array:
    """Write a table to new frames; return their bytes, read-only."""
    counted = pa.MockOutputStream()
    _write(counted, table)
    made = arena.empty(counted.size(), np.uint8)
    with pa.FixedSizeBufferWriter(pa.py_buffer(made)) as stream:
        stream.set_memcopy_threads(COPY_THREADS)
        _write(stream, table)
    return made.readonly()


def _write(stream: pa.NativeFile, table: pa.Table) -> None:
    with ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)


class _Pieces:
    """A file to write to: its bytes go to objects, which become one when all is written."""

    closed = False

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.objects: list[Scamem] = []
        self.into: memoryview = memoryview(b"")  # what is left of the last object
        self.nbytes = 0

    def write(self, data: Any) -> int:
        """Append a buffer."""
        left = memoryview(data).cast("B")
        while left.nbytes:
            if not self.into.nbytes:
                size = min(max(self.nbytes, PIECE_BYTES_MIN), PIECE_BYTES_MAX)
                self.objects.append(self.arena.alloc(size))
                self.into = memoryview(self.objects[-1].map())
            part = left[: self.into.nbytes]
            self.into[: part.nbytes] = part
            self.into, left = self.into[part.nbytes :], left[part.nbytes :]
            self.nbytes += part.nbytes
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def tell(self) -> int:
        """Return the bytes written so far."""
        return self.nbytes

    def close(self) -> None:
        """Do nothing: `joined` ends it."""

    def joined(self) -> Scamem:
        """Return one object of all bytes."""
        self.into = memoryview(b"")
        whole, *others = self.objects
        for other in others:
            whole.splice(other)
        whole.resize(self.nbytes)
        return whole


def _written_in_pieces(arena: Arena, reader: pa.RecordBatchReader) -> Handle:
    pieces = _Pieces(arena)
    with pa.PythonFile(pieces, "w") as stream, ipc.new_stream(stream, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
    whole = pieces.joined()
    data = np.frombuffer(memoryview(whole.map()), np.uint8)[: pieces.nbytes]
    return convert.handle(data.view(Array).readonly())


def _kept(table: pa.Table, data: np.ndarray[Any, Any]) -> pa.Table:
    """Note from which bytes a table was made, so that `put` need not write it again."""
    _homes[id(table)] = weakref.ref(table), weakref.ref(data)
    if len(_homes) > HOMES_MIN and not len(_homes) & len(_homes) - 1:  # at each power of two
        for key, (known, _) in list(_homes.items()):
            if known() is None:
                _homes.pop(key, None)
    return table


def _home(arena: Arena, table: pa.Table) -> Array | None:
    """Return the bytes that a table was made from, if they lie in this arena."""
    known, data = _homes.get(id(table), (None, None))
    if known is None or data is None or known() is not table:
        return None
    found = data()
    return found if isinstance(found, Array) and seat_of(found) is arena._seat else None


for _kind in (pa.Table, pa.RecordBatch, pa.ChunkedArray):
    register_buffers(_kind)
