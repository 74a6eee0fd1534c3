"""Lists as they are read: what gets the item of a row, for each form of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from scamem.arrays.array import Array
from scamem.core.store import layout as L

from . import layout as F
from .classes import class_named, fields_of
from .layout import damaged
from .source import DIMENSIONS_MAX, Source, array_at, decode_text

Get = Callable[[int], Any]

NUMBER_BYTES = {"?": 1, "q": 8, "d": 8, "D": 16}
NUMBER_DTYPES = {"?": np.bool_, "q": np.int64, "d": np.float64, "D": np.complex128}


class Column:
    """The items of a list.

    Attributes
    ----------
    ref : of its node. count : items. get : returns the item of a row, from 0 to count - 1.
    is_plain : its items are numbers or strings, which `==` compares.
    """

    __slots__ = ("count", "get", "ref", "source")
    is_plain = False

    def __init__(self, source: Source, ref: int, count: int) -> None:
        self.source = source
        self.ref = ref
        self.count = count
        self.get: Get = self._read()

    def _read(self) -> Get:
        raise AssertionError

    def words(self, count: int, skip: int = 0) -> list[int]:
        """Return words of the node that say more."""
        return self.source.numbers(self.ref, count, 1 + skip)

    def array(self) -> Array:
        """Return all items as an array without a copy; TypeError if they are none."""
        raise TypeError(
            "asked for an array; these items are not numbers or arrays of one dtype and shape"
        )

    def column_at(self, ref: int) -> Column:
        """Return another list of the node."""
        return column_at(self.source, ref, self.ref)


class Refs(Column):
    """Each item has a ref; the first may be in another list."""

    __slots__ = ()

    def _read(self) -> Get:
        prefix, section, at = self.words(3)
        first = self.column_at(prefix) if prefix else None
        skipped = 0 if first is None else first.count
        if skipped > self.count:
            raise damaged(f"a list of {self.count:,} items begins with {skipped:,}")
        refs = self.source.view(section, at, (self.count - skipped) * F.WORD).cast("Q")
        value, below = self.source.value, self.ref

        def get(row: int) -> Any:
            return value(refs[row], below)

        if first is None:
            return get
        get_first = first.get

        def get_either(row: int) -> Any:
            return get_first(row) if row < skipped else get(row - skipped)

        return get_either


class Numbers(Column):
    """Numbers of one type."""

    __slots__ = ("_at", "_dtype")
    is_plain = True

    def _read(self) -> Get:
        code, dtype, section, at = self.words(4)
        character = chr(code) if code < 128 else "\0"
        self._at = section, at
        if character in NUMBER_BYTES:
            nbytes = self.count * NUMBER_BYTES[character]
            data = self.source.view(section, at, nbytes)
            self._dtype = np.dtype(NUMBER_DTYPES[character])
            if character == "D":
                parts = data.cast("d")
                return lambda row: complex(parts[2 * row], parts[2 * row + 1])
            numbers: Any = data.cast(character)  # type: ignore[call-overload]  # one of those
            get: Get = numbers.__getitem__
            return get
        self._dtype = self.source.dtype(dtype, self.ref)
        return self.array().view(np.ndarray).__getitem__

    def array(self) -> Array:
        """Return the numbers."""
        return array_at(self.source, self._dtype, *self._at, (self.count,))


class Arrays(Column):
    """Arrays of one dtype and shape."""

    __slots__ = ("_all",)

    def _read(self) -> Get:
        dtype_ref, section, at, dimensions = self.words(4)
        shape = self.words(min(dimensions, DIMENSIONS_MAX), 4)
        if 0 in shape:
            raise damaged("a list of arrays has arrays without elements")
        dtype = self.source.dtype(dtype_ref, self.ref)
        everything = array_at(self.source, dtype, section, at, (self.count, *shape))
        self._all = everything
        return lambda row: everything[row, ...]

    def array(self) -> Array:
        """Return the arrays, stacked."""
        return self._all


class Bytes(Column):
    """Strings, or bytes.

    Attributes
    ----------
    ends : int64, where each begins in the data, and where the last one ends. data : uint8.
    """

    __slots__ = ("_at",)
    is_plain = True

    def _read(self) -> Get:
        ends_section, ends_at, section, at, nbytes = self.words(5)
        self._at = (ends_section, ends_at), (section, at, nbytes)
        ends = self.source.view(ends_section, ends_at, (self.count + 1) * F.WORD).cast("q")
        data = self.source.view(section, at, nbytes)
        is_text = self.source.words[self.ref // F.WORD] >> 8 & L.MASK_8 == F.TEXT

        def get(row: int) -> bytes:
            start, end = ends[row], ends[row + 1]
            if not 0 <= start <= end <= nbytes:
                raise damaged(f"a string has bytes {start:,} to {end:,} of {nbytes:,}")
            return bytes(data[start:end])

        def get_text(row: int) -> str:
            start, end = ends[row], ends[row + 1]
            if not 0 <= start <= end <= nbytes:
                raise damaged(f"a string has bytes {start:,} to {end:,} of {nbytes:,}")
            return decode_text(data[start:end])

        return get_text if is_text else get

    @property
    def ends(self) -> Array:
        """Where each begins, and the last one ends."""
        return array_at(self.source, np.dtype(np.int64), *self._at[0], (self.count + 1,))

    @property
    def data(self) -> Array:
        """The bytes of all."""
        section, at, nbytes = self._at[1]
        return array_at(self.source, np.dtype(np.uint8), section, at, (nbytes,))


class Lists(Column):
    """Lists, or tuples: ranges of the rows of another list."""

    __slots__ = ("items",)

    def _read(self) -> Get:
        tag, section, at, ref = self.words(4)
        items = self.items = self.column_at(ref)
        ends = self.source.view(section, at, (self.count + 1) * F.WORD).cast("q")
        make, most = MAKERS.get(tag), items.count
        if make is None:
            raise damaged(f"a list has items of the unknown type {tag}")

        def get(row: int) -> Any:
            start, end = ends[row], ends[row + 1]
            if not 0 <= start <= end <= most:
                raise damaged(f"a list has rows {start:,} to {end:,} of {most:,}")
            return make(items, range(start, end))

        return get


class Fields:
    """What the rows of records are read by. It does not know its column: cycles are freed late.

    Attributes
    ----------
    ref : of the column. form : dicts, dataclasses, named tuples or tuples. kind : the class, if it
    is one. names : of the fields; () for tuples. columns : one for each field. getters : what gets
    a field's value of a row, by name.
    """

    __slots__ = ("columns", "form", "getters", "kind", "names", "ref", "source")

    def __init__(self, of: Column) -> None:
        self.source = of.source
        self.ref = of.ref
        schema = of.words(1)[0]
        self.form, self.kind, self.names, count = read_schema(of.source, schema, of.ref)
        self.columns = [of.column_at(ref) for ref in of.words(count, 1)]
        if not self.columns or any(column.count != of.count for column in self.columns):
            raise damaged("records have columns of different lengths")
        both = zip(self.names, self.columns, strict=False)  # tuples have no names
        self.getters = {name: column.get for name, column in both}

    def column(self, name: Any) -> Column:
        """Return a field's column, by name, or by number for tuples; KeyError."""
        if not self.names and isinstance(name, int) and 0 <= name < len(self.columns):
            return self.columns[name]
        try:
            return self.columns[self.names.index(name)]
        except ValueError:
            known = self.names or range(len(self.columns))
            raise KeyError(
                f"asked for column {name!r}; there are {', '.join(map(repr, known))}"
            ) from None


class Records(Column):
    """Dicts, dataclasses, named tuples or tuples with the same fields."""

    __slots__ = ("of",)

    def _read(self) -> Get:
        self.of = Fields(self)
        return ROW_MAKERS[self.of.form](self.of)


Schema = tuple[int, type | None, tuple[str, ...], int]


def read_schema(source: Source, ref: int, below: int) -> Schema:
    """Return {form, class, names of fields, number of fields} of records."""
    word = source.node(ref, below)
    form, count = word >> 8 & L.MASK_8, word >> F.COUNT_SHIFT
    if word & L.MASK_8 != F.SCHEMA or form not in ROW_MAKERS or count > source.nbytes:
        raise damaged(f"at byte {ref:,} should be the fields of records")
    kind_ref, names_ref = source.numbers(ref, 2)
    column = column_at(source, names_ref, ref)
    if type(column) not in (Refs, Bytes):
        raise damaged(f"at byte {ref:,} should be the names of fields")
    names = tuple(map(column.get, range(column.count)))
    wanted = 0 if form == F.TUPLES else count
    if not all(type(name) is str for name in names) or len(set(names)) != wanted:
        raise damaged(f"records of {count:,} fields have {len(names):,} names")
    kind = None
    if form in (F.DATACLASSES, F.NAMED_TUPLES):
        kind = class_named(source.text(kind_ref, ref), form)
        if fields_of(kind) != names:
            raise damaged(
                f"a {kind.__qualname__} had the fields {', '.join(names)}; here it has "
                f"{', '.join(fields_of(kind))}"
            )
    return form, kind, names, count


COLUMNS: dict[int, type[Column]] = {
    F.REFS: Refs,
    F.NUMBERS: Numbers,
    F.ARRAYS: Arrays,
    F.TEXT: Bytes,
    F.BINARY: Bytes,
    F.LISTS: Lists,
    F.RECORDS: Records,
}
# What makes a container of rows of a column, by tag; and what gets records, by form. Filled by
# the modules above.
MAKERS: dict[int, Callable[[Column, range], Any]] = {}
ROW_MAKERS: dict[int, Callable[[Fields], Get]] = {}


def column_at(source: Source, ref: int, below: int) -> Column:
    """Return the items of the list at a ref. `below` : the ref of the node that has it."""
    word = source.node(ref, below)
    kind = COLUMNS.get(word >> 8 & L.MASK_8)
    if word & L.MASK_8 not in (F.LIST, F.TUPLE) or kind is None:
        raise damaged(f"at byte {ref:,} should be a list")
    try:
        return kind(source, ref, word >> F.COUNT_SHIFT)
    except RecursionError:
        raise damaged("its lists are nested too deeply to be read") from None
