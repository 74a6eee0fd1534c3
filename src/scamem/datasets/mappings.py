"""Dicts and sets of a frozen value: mappings and sets that look keys up on frames."""

from __future__ import annotations

import struct
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal

from scamem.core.store import layout as L

from . import layout as F
from .columns import ROW_MAKERS, Column, Fields, column_at
from .hashing import bucket_of, stable_hash
from .layout import Place, damaged
from .on_frames import SHOWN, Container, is_same, short, thaw
from .sequences import list_of, of_all, thaw_rows
from .source import READERS, Source


class FrozenDict(Container, Mapping[Any, Any]):
    """A dict on frames: what `scamem.freeze` makes of a dict.

    >>> ages = scamem.freeze({"Ann": 41, "Bo": 7})
    >>> ages["Bo"], "Cy" in ages, ages == {"Ann": 41, "Bo": 7}
    (7, False, True)

    It is a `collections.abc.Mapping` in the dict's order, equal to the dict that was frozen.
    A look-up takes the same time at any size.

    Ownership: it keeps the frozen object. Threads: any. fork: the child reads on.
    """

    __slots__ = ("__weakref__", "_keys", "_ref", "_source", "_table", "_values")

    def __init__(self, source: Source, ref: int, count: int) -> None:
        self._source, self._ref = source, ref
        keys, values, *table = source.numbers(ref, 5)
        self._keys = column_at(source, keys, ref)
        self._values = column_at(source, values, ref)
        if not count == self._keys.count == self._values.count:
            raise damaged(f"a dict has {self._keys.count:,} keys, {self._values.count:,} values")
        self._table = Table(source, self._keys, table)

    def _scamem_place(self) -> tuple[Source, Place]:
        return self._source, Place(F.VALUE, self._ref)

    def _each_key(self) -> Iterator[Any]:
        return map(self._keys.get, range(self._keys.count))

    def _each_value(self) -> Iterator[Any]:
        return map(self._values.get, range(self._values.count))

    def __len__(self) -> int:
        return self._keys.count

    def __iter__(self) -> Iterator[Any]:
        return self._each_key()

    def __reversed__(self) -> Iterator[Any]:
        return map(self._keys.get, reversed(range(self._keys.count)))

    def __getitem__(self, key: Any) -> Any:
        row = self._table.find(key)
        if row < 0:
            raise KeyError(key)
        return self._values.get(row)

    def __contains__(self, key: object) -> bool:
        return self._table.find(key) >= 0

    def values(self) -> Any:
        """Return the values in order, as a FrozenList."""
        return list_of(self._values, range(self._values.count))

    def items(self) -> ItemsView[Any, Any]:
        """Return a view of (key, value), in order."""
        return FrozenItems(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, (dict, FrozenDict)):
            return NotImplemented
        if len(self) != len(other):
            return False
        missing = object()
        get = other.get
        pairs = zip(self._each_key(), self._each_value(), strict=True)
        with hashable(self):
            return all(is_same(value, get(key, missing)) for key, value in pairs)

    __hash__ = None  # type: ignore[assignment]  # as of a dict

    def __or__(self, other: Any) -> Any:
        return {**self, **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return {**other, **self} if isinstance(other, Mapping) else NotImplemented

    def _scamem_thaw(self) -> dict[Any, Any]:
        rows = range(self._keys.count)
        pairs = zip(map(thaw, self._each_key()), thaw_rows(self._values, rows), strict=True)
        with hashable(self):
            return dict(pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({short(self)}{of_all(len(self))})"

    def _scamem_show(self, depth: int) -> str:
        pairs = islice(zip(self._each_key(), self._each_value(), strict=True), SHOWN)
        parts = [f"{short(key, depth + 1)}: {short(value, depth + 1)}" for key, value in pairs]
        if len(self) > SHOWN:
            parts.append("...")
        return f"{{{', '.join(parts)}}}"


class FrozenItems(ItemsView[Any, Any]):
    """The (key, value) of a FrozenDict; goes through them without a look-up each."""

    _mapping: FrozenDict

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return zip(self._mapping._each_key(), self._mapping._each_value(), strict=True)


class FrozenRow(FrozenDict):
    """A dict that is one row of columns."""

    __slots__ = ("_of", "_row")

    def __init__(self, of: Fields, row: int) -> None:
        self._of = of
        self._row = row

    def _scamem_place(self) -> tuple[Source, Place]:
        return self._of.source, Place(F.ROW, self._of.ref, self._row)

    def _each_key(self) -> Iterator[Any]:
        return iter(self._of.names)

    def _each_value(self) -> Iterator[Any]:
        row = self._row
        return (get(row) for get in self._of.getters.values())

    def __len__(self) -> int:
        return len(self._of.names)

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._of.names)

    def __getitem__(self, key: Any) -> Any:
        return self._of.getters[key](self._row)

    def __contains__(self, key: object) -> bool:
        return key in self._of.getters

    def __eq__(self, other: object) -> bool:
        if type(other) is not dict:
            return FrozenDict.__eq__(self, other)
        row, getters = self._row, self._of.getters
        if len(other) != len(getters):
            return False
        for name, get in getters.items():
            if name not in other or not is_same(get(row), other[name]):
                return False
        return True

    __hash__ = None

    def values(self) -> Any:
        """Return the values in order."""
        return tuple(self._each_value())

    def _scamem_thaw(self) -> dict[Any, Any]:
        return dict(zip(self._of.names, map(thaw, self._each_value()), strict=True))


class FrozenSet(Container, AbstractSet[Any]):
    """A set on frames: what `scamem.freeze` makes of a set or frozenset.

    >>> primes = scamem.freeze({2, 3, 5})
    >>> 3 in primes, 4 in primes, primes == {2, 3, 5}
    (True, False, True)

    It is a `collections.abc.Set`, equal to what was frozen; it is hashable if that was a frozenset.
    """

    __slots__ = ("__weakref__", "_items", "_ref", "_source", "_table", "is_hashable")
    is_frozen_set = True

    def __init__(self, source: Source, ref: int, count: int) -> None:
        self._source, self._ref = source, ref
        items, *table = source.numbers(ref, 4)
        self._items = column_at(source, items, ref)
        if self._items.count != count:
            raise damaged(f"a set of {count:,} has {self._items.count:,} items")
        self._table = Table(source, self._items, table)
        self.is_hashable = source.node(ref, ref + 1) & L.MASK_8 == F.FROZENSET

    def _scamem_place(self) -> tuple[Source, Place]:
        return self._source, Place(F.VALUE, self._ref)

    @classmethod
    def _from_iterable(cls, it: Any) -> Any:
        return frozenset(it)

    def __len__(self) -> int:
        return self._items.count

    def __iter__(self) -> Iterator[Any]:
        return map(self._items.get, range(self._items.count))

    def __contains__(self, item: object) -> bool:
        return self._table.find(item) >= 0

    def __hash__(self) -> int:
        if not self.is_hashable:
            raise TypeError("unhashable type: it was frozen from a set; freeze a frozenset")
        with hashable(self):
            return hash(frozenset(self))

    def _scamem_thaw(self) -> Any:
        with hashable(self):
            return (frozenset if self.is_hashable else set)(map(thaw, self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({short(self)}{of_all(len(self))})"

    def _scamem_show(self, depth: int) -> str:
        parts = [short(item, depth + 1) for item in islice(self, SHOWN)]
        if len(self) > SHOWN:
            parts.append("...")
        return f"{{{', '.join(parts)}}}"


class Table:
    """The hash table of a dict or set; without one, a search through its few keys."""

    __slots__ = ("_bits", "_keys", "_order", "_starts")

    def __init__(self, source: Source, keys: Column, words: list[int]) -> None:
        section, at, self._bits = words
        self._keys = keys
        if self._bits == 0:
            return
        if self._bits != keys.count.bit_length():
            raise damaged(f"{keys.count:,} keys have 2**{self._bits} buckets")
        code: Literal["I", "Q"] = "I" if keys.count < 1 << 32 else "Q"
        size = struct.calcsize(code)
        buckets = (1 << self._bits) + 1
        data = source.view(section, at, (buckets + keys.count) * size)
        self._starts = data[: buckets * size].cast(code)
        self._order = data[buckets * size :].cast(code)

    def find(self, key: Any) -> int:
        """Return the row of a key, -1 if it is not there; TypeError if it is not hashable."""
        own = hash(key)
        get = self._keys.get
        if self._bits == 0:
            rows: Any = range(self._keys.count)
        else:
            bucket = bucket_of(stable_hash(key), self._bits)
            rows = self._order[self._starts[bucket] : self._starts[bucket + 1]]
        for row in rows:
            if row >= self._keys.count:
                raise damaged(f"a hash table refers to key {row:,} of {self._keys.count:,}")
            found = get(row)
            if found is key or (_hash(found) == own and found == key):
                return int(row)
        return -1


def _hash(key: Any) -> int:
    """Return Python's hash of a key that was read; DatasetDamagedError if it has none."""
    try:
        return hash(key)
    except TypeError:
        raise damaged(f"a key cannot be a key: {short(key)}") from None


@contextmanager
def hashable(keys: Iterable[Any]) -> Iterator[None]:
    """Turn a TypeError into DatasetDamagedError if one of these keys is not hashable."""
    try:
        yield
    except TypeError:
        for key in keys:
            _hash(key)
        raise


READERS[F.DICT] = FrozenDict
READERS[F.SET] = READERS[F.FROZENSET] = FrozenSet
ROW_MAKERS[F.DICTS] = lambda of: lambda row: FrozenRow(of, row)
