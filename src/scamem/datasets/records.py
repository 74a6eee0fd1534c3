"""Items that are instances of the user's classes: dataclasses and named tuples.

An item is an instance of a subclass that is made here, once for each class: it reads its fields
from frames and cannot be changed. It says that it is of the user's class, so `==`, `repr`,
`isinstance`, `dataclasses.replace` and the class's methods work as they do for what was frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import FrozenInstanceError
from functools import cache
from typing import Any, NamedTuple

from . import layout as F
from .classes import fields_of, is_named_tuple
from .columns import ROW_MAKERS, Fields, read_schema
from .layout import Place, damaged
from .on_frames import OnFrames, short, thaw
from .sequences import REMAKERS
from .source import READERS, Source

Field = Callable[[int], Any]


class Where(NamedTuple):
    """Where instances are: a node of one, or the rows of columns; and what gets each field."""

    source: Source
    kind: int
    ref: int
    get: list[Field]


class Instance(OnFrames):
    """What the subclasses share."""

    __slots__ = ()
    _scamem_plain: type  # the user's class
    _scamem_where: Where
    _scamem_row: int

    def __init_subclass__(cls, **_keywords: Any) -> None:
        """Do not call the one of the user's class: it may register its subclasses."""

    def _scamem_place(self) -> tuple[Source, Place]:
        where = self._scamem_where
        return where.source, Place(where.kind, where.ref, self._scamem_row)

    def _scamem_show(self, depth: int) -> str:
        return shown(self, self._scamem_plain, depth)

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(
            f"cannot set {name!r}: this item was frozen; change a copy, scamem.thaw(x) or "
            "dataclasses.replace(x, ...)"
        )

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete {name!r}: this item was frozen")

    def _scamem_thaw(self) -> Any:
        names = fields_of(self._scamem_plain)
        return remade(self._scamem_plain, names, [thaw(getattr(self, name)) for name in names])


class TupleInstance(OnFrames):
    """What the subclasses of named tuples share: they have their values, and know their place."""

    _scamem_plain: type
    _scamem_where: Where | None = None  # of one made from an item, by `_replace`
    _scamem_row: int

    def __init_subclass__(cls, **_keywords: Any) -> None:
        """Do not call the one of the user's class: it may register its subclasses."""

    def _scamem_place(self) -> tuple[Source, Place] | None:
        where = self._scamem_where
        if where is None:
            return None
        return where.source, Place(where.kind, where.ref, self._scamem_row)

    def _scamem_show(self, depth: int) -> str:
        return shown(self, self._scamem_plain, depth)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if self._scamem_where is None:
            return new_tuple, (self._scamem_plain, tuple(_items_of(self)))
        return super().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: Any) -> Any:
        if self._scamem_where is None:
            return new_tuple(self._scamem_plain, deepcopy(tuple(_items_of(self)), memo))
        return self

    def _scamem_thaw(self) -> Any:
        return new_tuple(self._scamem_plain, map(thaw, _items_of(self)))


def _items_of(value: Any) -> Iterable[Any]:
    return tuple.__iter__(value)


def shown(value: Any, kind: type, depth: int) -> str:
    """Return an instance's repr, cut to some items of each container in it."""
    parts = (f"{name}={short(getattr(value, name), depth + 1)}" for name in fields_of(kind))
    return f"{kind.__qualname__}({', '.join(parts)})"


def class_of(kind: type) -> type:
    """Return the user's class of an item's type; any other type as it is."""
    found: type = getattr(kind, "_scamem_plain", kind)
    return found


@cache
def frozen_class(kind: type) -> Any:
    """Return the subclass whose instances are on frames."""
    body: dict[str, Any] = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "_scamem_plain": kind,
    }
    if is_named_tuple(kind):
        return type(kind)(kind.__name__, (TupleInstance, kind), body)
    body["__slots__"] = ("_scamem_row", "_scamem_where")
    body["__class__"] = property(lambda _: kind)
    for number, name in enumerate(fields_of(kind)):
        body[name] = property(_reader(number))
    return type(kind)(kind.__name__, (Instance, kind), body)


def _reader(number: int) -> Callable[[Any], Any]:
    def read(self: Any) -> Any:
        return self._scamem_where.get[number](self._scamem_row)

    return read


def remade(kind: Any, names: Iterable[str], values: Iterable[Any]) -> Any:
    """Return an instance of a dataclass with these values, made as by unpickling."""
    made: Any = object.__new__(kind)
    for name, value in zip(names, values, strict=True):
        object.__setattr__(made, name, value)
    return made


def new_tuple(kind: Any, values: Iterable[Any]) -> Any:
    """Return an instance of a named tuple with these values."""
    return tuple.__new__(kind, values)


def _instances(kind: Any, where: Where) -> Field:
    """Return what gets an instance of a row."""
    made_as, get = frozen_class(kind), where.get
    new, store = object.__new__, object.__setattr__

    def make(row: int) -> Any:
        made = new(made_as)
        store(made, "_scamem_where", where)
        store(made, "_scamem_row", row)
        return made

    def make_tuple(row: int) -> Any:
        made = new_tuple(made_as, [one(row) for one in get])
        made._scamem_where = where
        made._scamem_row = row
        return made

    return make_tuple if is_named_tuple(kind) else make


def _of_records(of: Fields) -> Field:
    return _instances(of.kind, Where(of.source, F.ROW, of.ref, [one.get for one in of.columns]))


def _tuples(of: Fields) -> Field:
    each = [column.get for column in of.columns]
    return lambda row: tuple([get(row) for get in each])


def read_instance(source: Source, ref: int, count: int) -> Any:
    """Return the dataclass's or named tuple's instance at a ref."""
    schema, *refs = source.numbers(ref, 1 + count)
    _, kind, _, fields = read_schema(source, schema, ref)
    if kind is None or fields != count:
        raise damaged(f"the instance at byte {ref:,} has {count:,} of {fields:,} fields")
    get = [_value_reader(source, one, ref) for one in refs]
    return _instances(kind, Where(source, F.VALUE, ref, get))(0)


def _value_reader(source: Source, ref: int, below: int) -> Field:
    return lambda _: source.value(ref, below)


READERS[F.INSTANCE] = read_instance
ROW_MAKERS[F.DATACLASSES] = ROW_MAKERS[F.NAMED_TUPLES] = _of_records
ROW_MAKERS[F.TUPLES] = _tuples
REMAKERS[F.DATACLASSES] = lambda of, values: [
    remade(of.kind, of.names, row) for row in zip(*values, strict=True)
]
REMAKERS[F.NAMED_TUPLES] = lambda of, values: [
    new_tuple(of.kind, row) for row in zip(*values, strict=True)
]
