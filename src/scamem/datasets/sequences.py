"""Lists and tuples of a frozen value: sequences that read rows of a column."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scamem.arrays.array import Array
from scamem.core.store import layout as L

from . import layout as F
from .columns import MAKERS, Bytes, Column, Fields, Records, column_at
from .layout import Place
from .on_frames import SHOWN, Container, is_same, short, thaw
from .source import READERS, Source


class Items(Container, Sequence[Any]):
    """Rows of a column: what FrozenList and FrozenTuple share."""

    __slots__ = ("__weakref__", "_column", "_get", "_rows")
    _kind: type  # what it was frozen from
    _place_kind: int

    def __init__(self, column: Column, rows: range) -> None:
        self._column = column
        self._rows = rows
        self._get = column.get

    def _scamem_place(self) -> tuple[Source, Place]:
        rows = self._rows
        place = Place(self._place_kind, self._column.ref, rows.start, rows.stop, rows.step)
        return self._column.source, place

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> Any:
        try:
            found = self._rows[key]
        except IndexError:
            raise IndexError(f"asked for item {key} of {len(self._rows):,} frozen items") from None
        if type(found) is range:
            return type(self)(self._column, found)
        return self._get(found)

    def __iter__(self) -> Iterator[Any]:
        return map(self._get, self._rows)

    def __reversed__(self) -> Iterator[Any]:
        return map(self._get, reversed(self._rows))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Items) and other._kind is self._kind:
            mine, theirs = self._column, other._column
            if mine.ref == theirs.ref and mine.source.is_same_object(theirs.source):
                if self._rows == other._rows:
                    return True
        elif not isinstance(other, self._kind):
            return NotImplemented
        if len(self) != len(other):  # type: ignore[arg-type]  # of the same kind
            return False
        if isinstance(other, Items):
            fields = _shared_fields(self._column, other._column)
            if fields is not None:
                lists = ((list_of(a, self._rows), list_of(b, other._rows)) for a, b in fields)
                return all(one == two for one, two in lists)
        same: Callable[[Any, Any], bool] = operator.eq if self._column.is_plain else is_same
        return all(map(same, self, other))  # type: ignore[call-overload]  # likewise

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, operator.ge)

    def _compared(self, other: Any, how: Callable[[Any, Any], Any]) -> Any:
        kinds: Any = (type(self), self._kind)
        if not isinstance(other, kinds):
            return NotImplemented
        return how(tuple(self), tuple(other))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        try:
            return np.array(self.column().view(np.ndarray), dtype=dtype, copy=copy)
        except TypeError:
            if copy is False:
                raise ValueError(
                    "asked for an array without a copy; these items are no column"
                ) from None
            return np.array(self.thaw(), dtype=dtype)

    # --- columns -------------------------------------------------------------------------------

    @property
    def fields(self) -> tuple[Any, ...]:
        """The names of the columns, () if the items are not records; numbers for tuples."""
        column = self._column
        if not isinstance(column, Records):
            return ()
        return column.of.names or tuple(range(len(column.of.columns)))

    def column(self, name: Any = None) -> Any:
        """Return a field of all items, or the items themselves, as one column without a copy.

        Parameters
        ----------
        name : a field (see `fields`); None: the items themselves.

        Returns
        -------
        Array, read-only, shape (items, ...) : of numbers, or of arrays of one shape. FrozenList :
        of anything else; for strings it has the attributes `offsets` and `data`.

        Raises
        ------
        KeyError : the items have no such field. TypeError : `name` is None, and the items are not
            numbers, or arrays of one shape; or the items have no fields.

        Ownership: the array keeps the frozen object.
        """
        column = self._column
        if name is None:
            return column.array()[slice_of(self._rows)]
        if not isinstance(column, Records):
            raise TypeError(
                f"asked for column {name!r}; the items are not records of the same fields"
            )
        field = column.of.column(name)
        try:
            return field.array()[slice_of(self._rows)]
        except TypeError:
            return list_of(field, self._rows)

    # --- as plain objects ----------------------------------------------------------------------

    def _scamem_thaw(self) -> Any:
        return self._kind(thaw_rows(self._column, self._rows))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({short(self)}{of_all(len(self))})"

    def _scamem_show(self, depth: int) -> str:
        parts = [short(item, depth + 1) for item in islice(self, SHOWN)]
        if len(self) > SHOWN:
            parts.append("...")
        left, right = "()" if self._kind is tuple else "[]"
        comma = "," if len(self) == 1 and self._kind is tuple else ""
        return f"{left}{', '.join(parts)}{comma}{right}"


class FrozenList(Items):
    """A list on frames: what `scamem.freeze` makes of a list.

    >>> people = scamem.freeze([{"name": "Ann", "age": 41}, {"name": "Bo", "age": 7}])
    >>> people[1]["name"], people == [{"name": "Ann", "age": 41}, {"name": "Bo", "age": 7}]
    ('Bo', True)
    >>> people.column("age")
    Array([41,  7])

    It is a `collections.abc.Sequence`, equal to the list that was frozen. An item is decoded when
    it is looked at; a slice is another FrozenList over the same frames.

    Ownership: it keeps the frozen object. Threads: any. fork: the child reads on.
    """

    __slots__ = ()
    _kind = list
    _place_kind = F.ITEMS


class FrozenStrings(FrozenList):
    """A FrozenList of strings or of bytes, kept one after the other.

    >>> names = scamem.freeze(["Ann", "Bo"])
    >>> names[1], names.offsets.tolist()
    ('Bo', [0, 3, 5])
    """

    __slots__ = ()

    @property
    def offsets(self) -> Array:
        """Where each string begins in `data`, and where the last one ends: int64, read-only."""
        rows, column = self._rows, self._column
        if rows.step != 1 or not isinstance(column, Bytes):
            raise TypeError("asked for the offsets of every second string or so; slice by 1")
        start = rows.start if rows else 0
        found: Array = column.ends[start : start + len(rows) + 1]
        return found

    @property
    def data(self) -> Array:
        """The bytes of all strings of the column, UTF-8: uint8, read-only."""
        column = self._column
        assert isinstance(column, Bytes)
        return column.data


class FrozenTuple(Items):
    """A tuple on frames: what `scamem.freeze` makes of a tuple. Hashable if its items are.

    >>> point = scamem.freeze((1.5, [2, 3]))
    >>> point[1] == [2, 3], point == (1.5, [2, 3])
    (True, True)
    """

    __slots__ = ()
    _kind = tuple
    _place_kind = F.TUPLE_ITEMS
    is_frozen_tuple = True

    def __hash__(self) -> int:  # type: ignore[override]  # a list has none
        return hash(tuple(self))


def _shared_fields(one: Column, other: Column) -> Iterator[tuple[Column, Column]] | None:
    """Return the columns of two lists of records of the same fields, in pairs; else None."""
    if not (isinstance(one, Records) and isinstance(other, Records)):
        return None
    mine, theirs = one.of, other.of
    if (mine.form, mine.names) != (theirs.form, theirs.names):
        return None
    if mine.kind is not None or len(mine.columns) != len(theirs.columns):
        return None  # a class may compare its instances otherwise
    return zip(mine.columns, theirs.columns, strict=True)


def slice_of(rows: range) -> slice:
    """Return the slice that takes these rows."""
    if not rows:
        return slice(0, 0)
    stop = rows.stop if rows.stop >= 0 else None  # downwards, to the first
    return slice(rows.start, stop, rows.step)


def list_of(column: Column, rows: range) -> FrozenList:
    """Return a list of rows of a column."""
    return (FrozenStrings if isinstance(column, Bytes) else FrozenList)(column, rows)


def of_all(count: int) -> str:
    """Return what a repr says about items that it does not show."""
    return f" of {count:,}" if count > SHOWN else ""


def thaw_rows(column: Column, rows: range) -> list[Any]:
    """Return rows of a column in plain objects."""
    if isinstance(column, Records):
        values = [thaw_rows(each, rows) for each in column.of.columns]
        return REMAKERS[column.of.form](column.of, values)
    if column.is_plain:
        return list(map(column.get, rows))
    return [thaw(item) for item in map(column.get, rows)]


def read_items(source: Source, ref: int, _: int) -> Items:
    """Return the list or tuple at a ref."""
    column = column_at(source, ref, ref + 1)
    if source.node(ref, ref + 1) & L.MASK_8 == F.TUPLE:
        return FrozenTuple(column, range(column.count))
    return list_of(column, range(column.count))


READERS[F.LIST] = READERS[F.TUPLE] = read_items
# What makes plain records of a list of values for each field, by form.
REMAKERS: dict[int, Callable[[Fields, list[list[Any]]], list[Any]]] = {
    F.DICTS: lambda of, values: [
        dict(zip(of.names, row, strict=True)) for row in zip(*values, strict=True)
    ],
    F.TUPLES: lambda _, values: list(zip(*values, strict=True)),
}
MAKERS[F.LIST] = list_of
MAKERS[F.TUPLE] = FrozenTuple
