"""CSV files as Arrow tables, without changing a value: numbers only where the text can be restored.

pyarrow's own inference makes 1234 of `01234`, floats of whole numbers from 2^63 on, and reads text
such as `Inf` as a number. So each column is read as text first. It becomes numbers only if each
value can be written again from its number: as the same digits for whole numbers, as the same
decimal value for others.
"""

from __future__ import annotations

import csv
import io
import os
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from .delimited import is_compressed, rows_of
from .numbers import DECIMAL, MISSING, SAFE_DIGITS, WHOLE, is_same

EXPONENT = r"[eE].*$"
NO_DIGIT = r"[^0-9]"
HEADER_BYTES_MAX = 1 << 20
QUOTE = ord('"')

Path = str | os.PathLike[str]


def read_texts(path: Path | IO[bytes], delimiter: str | None = None) -> pa.Table:
    """Read a CSV file as a table of text; see `arrow.read_csv`."""
    if isinstance(path, str | os.PathLike):
        name = os.fspath(path)
        kind = "gzip" if is_compressed(name) else "detect"
        with pa.input_stream(name, compression=kind) as file:
            data = file.read_buffer()
    else:
        name, data = "", pa.py_buffer(path.read())
    names, between = _header(data, delimiter, name)
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        parse_options=arrow_csv.ParseOptions(delimiter=between, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types={column: pa.string() for column in names}, strings_can_be_null=False
        ),
    )
    _check_last_quote(data, table)
    return table


def _check_last_quote(data: pa.Buffer, table: pa.Table) -> None:
    """Raise ArrowInvalid if the last value has a quote that nothing closes, so it took all rows."""
    if len(table) == 0 or np.count_nonzero(np.frombuffer(data, np.uint8) == QUOTE) % 2 == 0:
        return
    last = table.columns[-1][-1].as_py().rstrip("\r\n").replace('"', '""')
    end = data[max(0, data.size - len(last.encode()) - 8) :].to_pybytes().rstrip(b"\r\n")
    if end.endswith(f'"{last}'.encode()):
        raise pa.ArrowInvalid(f"the quote before {last[:40]!r} is not closed")


def _header(data: pa.Buffer, delimiter: str | None, name: str) -> tuple[list[str], str]:
    """Return the names in the first line of a CSV file, and what stands between its values."""
    begin = data[:HEADER_BYTES_MAX].to_pybytes().decode("utf-8-sig", "replace")
    try:
        names, between, _ = rows_of(io.StringIO(begin, newline=""), delimiter, name)
    except (ValueError, csv.Error) as error:
        raise pa.ArrowInvalid(str(error)) from None
    return names, between


def exact_numbers(table: pa.Table) -> pa.Table:
    """Return a table of text with numbers in each column that they represent exactly."""
    columns = [exact_column(column.combine_chunks()) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def exact_column(texts: pa.Array) -> pa.Array:
    """Return a column as int64, uint64 or float64, if that changes no value; else as it is."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    missing = pc.is_in(texts, pa.array(MISSING))
    there = texts.filter(pc.invert(missing))
    if len(there) == 0:
        return texts
    for convert in (_as_whole, _as_decimal):
        numbers = convert(there)
        if numbers is not None:
            places = pc.cumulative_sum(pc.cast(pc.invert(missing), pa.int64()))
            places = pc.if_else(missing, None, pc.subtract(places, 1))
            return numbers.take(places)
    return texts


def _as_whole(texts: pa.Array) -> pa.Array | None:
    if not pc.all(pc.match_substring_regex(texts, WHOLE)).as_py():
        return None
    for kind in (pa.int64(), pa.uint64()):
        try:
            return pc.cast(texts, kind)
        except pa.ArrowInvalid:
            continue
    return None


def _as_decimal(texts: pa.Array) -> pa.Array | None:
    if not pc.all(pc.match_substring_regex(texts, DECIMAL)).as_py():
        return None
    numbers = pc.cast(texts, pa.float64())
    digits = pc.replace_substring_regex(texts, EXPONENT, "")
    digits = pc.replace_substring_regex(digits, NO_DIGIT, "")
    doubtful = pc.greater(pc.utf8_length(digits), SAFE_DIGITS)
    doubtful = pc.or_(doubtful, pc.match_substring_regex(texts, "[eE]"))
    pairs = zip(
        texts.filter(doubtful).to_pylist(), numbers.filter(doubtful).to_pylist(), strict=True
    )
    return numbers if all(is_same(text, number) for text, number in pairs) else None
