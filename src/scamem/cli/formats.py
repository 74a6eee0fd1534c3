"""Reading and writing arrays as .npy, .npz, .csv and raw files, and tables in Arrow's formats.

A file of several arrays (.npz) gives one array for each member. A CSV table gives one structured
array with a field for each column: int64, uint64 or float64 (with NaN for missing values) if each
value can be written again as it was, else text as wide as the longest value. Other tables
(.parquet, .arrow, .feather) are pyarrow's.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from scamem.backing.text import counted
from scamem.integrations.delimited import is_compressed, rows_of, writer
from scamem.integrations.numbers import DECIMAL, MISSING, WHOLE, WHOLE_MAX, is_same

from . import tables
from .streams import standard_input

Arrays = Mapping[str, NDArray[Any]]

NPY: Final = "npy"
NPZ: Final = "npz"
CSV: Final = "csv"
RAW: Final = "raw"
FORMATS: Final = (NPY, NPZ, CSV, *tables.TABLES, RAW)
CSV_ENDINGS: Final = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
STANDARD: Final = "-"  # stdin or stdout
ROWS_AT_ONCE: Final = 1 << 14
CHUNK_BYTES: Final = 8 << 20


def format_of(file: str, wanted: str | None) -> str:
    """Return the format of a file: the wanted one, else by the ending of its name, else raw."""
    if wanted:
        return wanted
    if file.lower().endswith(CSV_ENDINGS):
        return CSV
    ending = Path(file).suffix.lower().removeprefix(".")
    return ending if ending in FORMATS else RAW


def read(file: str, kind: str) -> Any:
    """Return the array of a file, for .npz its arrays by name, for a table one of pyarrow.

    Large .npy and raw files are mapped; they are read when they are copied. A CSV file is an array
    if pyarrow is not installed. A file in one of Arrow's formats is a reader of its rows.

    Raises
    ------
    click.ClickException : the content of the file is not of this format.
    OSError : the file cannot be read.
    """
    try:
        if kind in tables.TABLES:
            tables.check_there(kind)
            return tables.read(file, kind)
        if kind == CSV and tables.is_there():
            return tables.read_csv(file)
        if kind == CSV:
            with _opened_text(file) as text:
                return read_table(text, "stdin" if file == STANDARD else file)
        if file == STANDARD:
            return _read_standard(kind)
        if kind == RAW:
            if Path(file).is_file() and Path(file).stat().st_size:
                return np.memmap(file, np.uint8, "r")
            with open(file, "rb") as source:
                return np.frombuffer(source.read(), np.uint8)
        if kind == NPZ:
            with np.load(file, allow_pickle=False) as members:
                return {name: members[name] for name in members.files}
        return np.lib.format.open_memmap(file, mode="r")
    except (ValueError, EOFError, UnicodeDecodeError, SyntaxError, csv.Error) as error:
        raise _unreadable(file, kind, error) from error
    except (zlib.error, zipfile.BadZipFile) as error:
        raise _unreadable(file, kind, error) from error
    except OSError as error:
        if error.errno is None:  # of what it contains: gzip's and pyarrow's
            raise _unreadable(file, kind, error) from error
        raise


def _unreadable(file: str, kind: str, error: Exception) -> click.ClickException:
    name = "stdin" if file == STANDARD else file
    return click.ClickException(
        f"{name} cannot be read as {kind}: {error}. Give its format with --as"
    )


def _opened_text(file: str) -> IO[str]:
    """Open a CSV file, with the ends of its lines as they are."""
    if file == STANDARD:
        return io.TextIOWrapper(standard_input(), "utf-8-sig", newline="")
    if is_compressed(file):
        data: Any = gzip.GzipFile(file)
        return io.TextIOWrapper(data, "utf-8-sig", newline="")
    return open(file, newline="", encoding="utf-8-sig")


def _read_standard(kind: str) -> NDArray[Any]:
    if kind == RAW:
        return np.frombuffer(standard_input().read(), np.uint8)
    raise click.UsageError(f"stdin can be csv or raw, not {kind}; give a file")


def read_table(lines: Iterable[str], source: str) -> NDArray[Any]:
    """Return a CSV table as a structured array. Its first line names the columns."""
    names, _, rows = rows_of(lines, None, source, strict=True)
    columns: list[list[str]] = [[] for _ in names]
    for row in rows:
        if not row:
            continue
        if len(row) != len(names):
            raise click.ClickException(
                f"{source}, line {rows.line_num}: "
                f"{counted(len(row), 'value')} for {counted(len(names), 'column')}"
            )
        for texts, value in zip(columns, row, strict=True):
            texts.append(value)
    typed = [typed_column(column) for column in columns]
    table = np.empty(len(columns[0]), [(n, c.dtype) for n, c in zip(names, typed, strict=True)])
    for name, column in zip(names, typed, strict=True):
        table[name] = column
    return table


def typed_column(texts: list[str]) -> NDArray[Any]:
    """Return a column as numbers, if each can be written again as it was; else as text."""
    found: NDArray[Any] = np.array(texts, dtype=np.str_) if texts else np.empty(0, "U1")
    there = [text for text in texts if text not in MISSING]
    if not there:
        return found
    missing = len(there) < len(texts)
    if all(re.fullmatch(WHOLE, text) for text in there):
        whole = [int(text) for text in there]
        low, high = min(whole), max(whole)
        if not missing and low >= -(1 << 63) and high < 1 << 64 and (low >= 0 or high < 1 << 63):
            return np.array(whole, np.int64 if high < 1 << 63 else np.uint64)
        if max(high, -low) > WHOLE_MAX:
            return found
    elif not all(re.fullmatch(DECIMAL, text) and is_same(text, float(text)) for text in there):
        return found
    return np.array([float("nan" if text in MISSING else text) for text in texts])


def write(
    file: IO[bytes],
    kind: str,
    arrays: NDArray[Any] | Arrays,
    step: Callable[[int], None],
    delimiter: str = ",",
) -> None:
    """Write an array, or several, to an open file.

    Parameters
    ----------
    delimiter : between the values of a CSV file.
    step : called with the number of bytes written since the last call.
    """
    if kind == NPZ:
        _write_npz(file, arrays if isinstance(arrays, Mapping) else {"array": arrays}, step)
    elif kind in tables.TABLES:
        tables.check_there(kind)
        tables.write(file, kind, tables.of_arrays(_table(arrays)), step)
    elif kind == CSV:
        table = _table(arrays)
        for text, nbytes in _csv_lines(table, delimiter):
            file.write(text)
            step(nbytes)
    elif isinstance(arrays, Mapping):
        names = ", ".join(list(arrays)[:5])
        raise click.UsageError(
            f"there are {len(arrays)} arrays ({names}), and such a file holds one; "
            "write .npz or .csv, or name one of the arrays"
        )
    elif kind == NPY:
        _write_npy(file, arrays, step)
    else:
        _write_raw(file, arrays, step)


def _write_npz(file: IO[bytes], arrays: Arrays, step: Callable[[int], None]) -> None:
    """Write arrays as np.savez does, which cannot have a member called `file`."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_npy(member, array, step)


class _Counted:
    """A file that says how much is written to it, and that NumPy does not write to by itself."""

    def __init__(self, file: IO[bytes], step: Callable[[int], None]) -> None:
        self.file = file
        self.step = step

    def write(self, data: bytes) -> int:
        """Write bytes."""
        self.step(len(data))
        return self.file.write(data)


def _write_npy(file: IO[bytes], array: NDArray[Any], step: Callable[[int], None]) -> None:
    counted_file: Any = _Counted(file, step)
    np.lib.format.write_array(counted_file, _plain(array), allow_pickle=False)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    return array.view(np.ndarray)


def _write_raw(file: IO[bytes], array: NDArray[Any], step: Callable[[int], None]) -> None:
    data = np.ascontiguousarray(_plain(array)).reshape(-1).view(np.uint8)
    for start in range(0, len(data), CHUNK_BYTES):
        part = data[start : start + CHUNK_BYTES]
        file.write(part.data)
        step(len(part))


def _table(arrays: NDArray[Any] | Arrays) -> dict[str, NDArray[Any]]:
    """Return the columns of a table to write."""
    if isinstance(arrays, Mapping):
        columns = {name: _plain(array) for name, array in arrays.items()}
    elif arrays.dtype.names and arrays.ndim == 1:
        columns = {name: _plain(arrays[name]) for name in arrays.dtype.names}
    elif arrays.ndim == 1 and not arrays.dtype.names:
        columns = {"value": _plain(arrays)}
    elif arrays.ndim == 2 and not arrays.dtype.names:
        columns = {f"c{k}": _plain(arrays[:, k]) for k in range(arrays.shape[1])}
    else:
        raise click.UsageError(
            f"an array of shape {arrays.shape} is not a table; write .npy, .npz or raw"
        )
    lengths = {array.shape for array in columns.values()}
    if not columns:
        raise click.UsageError("a table without columns cannot be written; write .npy")
    if len(lengths) > 1 or any(array.ndim != 1 for array in columns.values()):
        raise click.UsageError("the arrays are not columns of equal length; write .npz")
    return columns


def _csv_lines(columns: dict[str, NDArray[Any]], delimiter: str) -> Iterable[tuple[bytes, int]]:
    """Yield parts of a table as text, each with the number of array bytes in it."""
    row_bytes = sum(array.dtype.itemsize for array in columns.values())
    rows = len(next(iter(columns.values()))) if columns else 0
    text = io.StringIO()
    lines = writer(text.write, delimiter)
    lines.writerow(columns)
    for start in range(0, max(rows, 1), ROWS_AT_ONCE):
        part = [_texts(array[start : start + ROWS_AT_ONCE]) for array in columns.values()]
        lines.writerows(zip(*part, strict=True))
        yield text.getvalue().encode(), row_bytes * len(part[0])
        text.seek(0)
        text.truncate()


def _texts(array: NDArray[Any]) -> list[Any]:
    """Return values as CSV needs them: NaN becomes an empty field."""
    if array.dtype.kind == "f" and array.dtype.char != "g":
        return ["" if value != value else repr(value) for value in array.tolist()]
    if array.dtype.kind == "S":
        return [value.decode("utf-8", "backslashreplace") for value in array.tolist()]
    if array.dtype.kind in "mM":
        return ["" if text == "NaT" else text for text in array.astype(np.str_).tolist()]
    if array.dtype.char == "g":
        return ["" if text == "nan" else text for text in map(str, array)]
    values: list[Any] = array.tolist()
    return values
