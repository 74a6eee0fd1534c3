"""CSV files as text: their delimiter, compression, the names in their first line, and quotes."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable
from typing import Any

DELIMITERS = (",", ";", "\t", "|")
LINE_ENDS = "\r\n"


def is_compressed(name: str) -> bool:
    """Return whether a file of this name is compressed with gzip."""
    return name.lower().endswith(".gz")


def delimiter_of(name: str, line: str = "") -> str:
    """Return what stands between the values of a CSV file: a tab for .tsv, else a comma.

    line : the first line; if it has more of another delimiter than of commas, that one.
    """
    if name.lower().removesuffix(".gz").endswith(".tsv"):
        return "\t"
    return max(DELIMITERS, key=line.count)


def rows_of(
    lines: Iterable[str], delimiter: str | None, name: str, *, strict: bool = False
) -> tuple[list[str], str, Any]:
    """Return the names in the first line of a CSV file, its delimiter, and a csv.reader behind it.

    Parameters
    ----------
    lines : with their ends, as of a file that was opened with newline="".
    delimiter : None: see `delimiter_of`. name : of the file, "" if it has none.
    strict : whether a quote that is not closed, or that is closed within a value, is an error.

    Raises
    ------
    ValueError : the file is empty, or the names are not unique or one is empty.
    csv.Error : a quote is not closed, in the first line or, later, in a row.
    """
    lines = iter(lines)
    begin: list[str] = []  # empty lines, and the first that is not
    for line in lines:
        begin.append(line)
        if line.strip(LINE_ENDS):
            break
    if delimiter is None:
        delimiter = delimiter_of(name, *begin[-1:])
    rows = csv.reader(itertools.chain(begin, lines), delimiter=delimiter, strict=strict)
    names = next(filter(None, rows), [])
    if not names:
        raise ValueError("the file is empty; its first line must name the columns")
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(f"column names must be unique, not empty; got {names}")
    return names, delimiter, rows


def writer(write: Callable[[str], object], delimiter: str) -> Any:
    """Return a csv.writer that ends lines with a newline, and also quotes carriage returns.

    Python's own, of some versions, quotes only the characters of the end that it is to write.
    """

    class Lines:
        def write(self, line: str) -> None:
            write(line.removesuffix(LINE_ENDS) + "\n")

    return csv.writer(Lines(), delimiter=delimiter, lineterminator=LINE_ENDS)
