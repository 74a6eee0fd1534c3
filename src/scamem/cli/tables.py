"""Tables in Arrow's formats: .parquet, .arrow and .feather, and .csv through Arrow's reader.

All of it needs pyarrow. A table in one of Arrow's formats is stored as such; `arrays_of` makes
NumPy arrays of its columns, if that changes no value.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

import click
import numpy as np
from numpy.typing import NDArray

import scamem
from scamem.integrations.delimited import writer
from scamem.integrations.numbers import WHOLE_MAX

from .streams import standard_input

PARQUET: Final = "parquet"
ARROW: Final = "arrow"
FEATHER: Final = "feather"
TABLES: Final = (PARQUET, ARROW, FEATHER)
STANDARD: Final = "-"


def is_there() -> bool:
    """Return whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def check_there(kind: str) -> None:
    """Raise ClickException if there is no pyarrow to read or write files of this format."""
    if not is_there():
        raise click.ClickException(
            f"{kind} files need pyarrow, which is not installed: pip install 'scamem[arrow]'"
        )


def read_csv(file: str) -> Any:
    """Return a CSV file as a pyarrow Table with exact numbers; see `integrations.arrow.read_csv`.

    Raises
    ------
    ValueError : it is not a table (pyarrow's ArrowInvalid).
    """
    from scamem.integrations import exact

    texts = exact.read_texts(standard_input() if file == STANDARD else file)
    return exact.exact_numbers(texts)


def put(arena: scamem.Arena, source: Any) -> tuple[scamem.Handle, Any]:
    """Store a table, or a reader of one; return its handle, and the table over the frames."""
    from scamem.integrations import arrow

    handle = arrow.put(source, arena)
    return handle, arrow.get(handle)


def read(file: str, kind: str) -> Any:
    """Return a reader of a file in one of Arrow's formats, or the table of standard input."""
    import pyarrow as pa
    from pyarrow import dataset, feather, parquet

    if file == STANDARD:
        data = pa.BufferReader(standard_input().read())
        return (parquet.read_table if kind == PARQUET else feather.read_table)(data)
    with open(file, "rb"):  # for an error that names the file
        pass
    format_name = PARQUET if kind == PARQUET else FEATHER
    return dataset.dataset(file, format=format_name).scanner(batch_readahead=1).to_reader()


def opened(value: Any) -> Any:
    """Return the pyarrow Table that an array of bytes is; None if it is not one."""
    if not is_there() or not isinstance(value, np.ndarray):
        return None
    if value.dtype != np.uint8 or value.ndim != 1:
        return None
    from scamem.integrations import arrow

    return arrow.opened(value)


def arrays_of(table: Any) -> dict[str, NDArray[Any]]:
    """Return the columns of a table as NumPy arrays.

    Raises
    ------
    click.ClickException : a column cannot be a NumPy array without changing a value.
    """
    columns = zip(table.column_names, table.columns, strict=True)
    return {name: _array_of(name, column) for name, column in columns}


def _array_of(name: str, column: Any) -> NDArray[Any]:
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type
    if pa.types.is_integer(kind) and column.null_count:
        most = compute.max(compute.abs(column.cast(pa.decimal128(20)))).as_py() or 0
        if most > WHOLE_MAX:  # NaN stands for "missing" in float64 only
            return _texts(name, column.cast(pa.string()).fill_null(""))
        column = column.cast(pa.float64())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if column.null_count == 0:
            return _texts(name, column)
    elif (pa.types.is_floating(kind) or column.null_count == 0) and (
        pa.types.is_primitive(kind) or pa.types.is_boolean(kind)
    ):
        found: NDArray[Any] = column.to_numpy()
        if found.dtype.kind in "biufM m":
            return found
    if pa.types.is_floating(column.type):
        made: NDArray[Any] = column.to_numpy()
        return made
    raise click.ClickException(
        f"column {name!r} ({kind}, {column.null_count:,} missing values) has no NumPy type that "
        "keeps its values. Put the whole table as an Arrow table: without --columns, and for CSV "
        "with --arrow"
    )


def _texts(name: str, column: Any) -> NDArray[Any]:
    from pyarrow import compute

    if compute.any(compute.match_substring(column, "\0")).as_py():
        raise click.ClickException(
            f"column {name!r} has a text with a NUL byte, which NumPy may cut off. Put the table "
            "with --arrow"
        )
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found.astype(np.str_) if len(found) else np.empty(0, "U1")


def of_arrays(arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return columns as a pyarrow Table; nothing is copied that need not be."""
    import pyarrow as pa

    try:
        return pa.table({name: pa.array(array) for name, array in arrays.items()})
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise click.ClickException(
            f"these arrays are no Arrow table: {error}; write .npz"
        ) from error


def write(file: IO[bytes], kind: str, table: Any, step: Callable[[int], None]) -> None:
    """Write a table to an open file; `step` is called with the bytes of each batch of rows."""
    import pyarrow as pa
    from pyarrow import ipc, parquet

    if kind == PARQUET:
        with parquet.ParquetWriter(file, table.schema) as writer:
            _write_batches(writer, table, step)
        return
    options = ipc.IpcWriteOptions(compression="lz4" if kind == FEATHER else None)
    table = table.unify_dictionaries()  # a file has one of each
    with pa.PythonFile(file, "w") as sink, ipc.new_file(sink, table.schema, options=options) as out:
        _write_batches(out, table, step)


def _write_batches(writer: Any, table: Any, step: Callable[[int], None]) -> None:
    for batch in table.to_batches():
        writer.write_batch(batch)
        step(batch.get_total_buffer_size())


def write_csv(
    file: IO[bytes], table: Any, step: Callable[[int], None], delimiter: str = ","
) -> None:
    """Write a table as CSV: texts in quotes, and nothing where a value is missing."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    writer(lambda line: file.write(line.encode()), delimiter).writerow(table.column_names)
    options = arrow_csv.WriteOptions(include_header=False, delimiter=delimiter)
    try:
        with pa.PythonFile(file, "w") as sink:
            with arrow_csv.CSVWriter(sink, table.schema, write_options=options) as out:
                _write_batches(out, table, step)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise click.ClickException(f"this table cannot be CSV: {error}; write .parquet") from error
