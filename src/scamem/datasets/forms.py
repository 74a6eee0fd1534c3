"""How the items of a list are kept: as a column if they are of one kind, else as one ref each.

A list is written as its items come, some thousand at a time. Its first items decide its form. If
later ones do not fit, the list so far becomes the prefix of a list of refs: nothing is written
twice.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate, chain
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from scamem.arrays.array import Array
from scamem.handles.dtypes import dtype_text

from . import layout as F
from .classes import fields_of, is_named_tuple
from .paths import SEARCH_DEPTH, UnfitError, search_cycle

if TYPE_CHECKING:
    from .encoder import Encoder

PIECE = 1 << 16  # items of lists that are written at once
LIST_ITEMS_MAX = 256  # longer lists, on average, are kept one by one
FIELDS_MAX = 1024  # of records; others are kept one by one
TUPLE_FIELDS_MAX = 32
NUMBER_TYPES: dict[type, tuple[str, type]] = {
    bool: ("?", np.bool_),
    int: ("q", np.int64),
    float: ("d", np.float64),
    complex: ("D", np.complex128),
}
PLAIN_ARRAYS = (np.ndarray, Array, np.memmap)
UNSIZED = (np.str_, np.bytes_, np.void)


class Form:
    """One way to keep the items of a list.

    `add` returns False if the items do not fit, and has written nothing then. `finish` returns the
    form's number and the words of the list's node.
    """

    def add(self, values: list[Any]) -> bool:
        raise AssertionError(values)

    def finish(self) -> tuple[int, tuple[int, ...]]:
        raise AssertionError


class Refs(Form):
    """A ref for each item, whatever it is."""

    def __init__(self, to: Encoder, depth: int, prefix: int = 0) -> None:
        self._to, self._depth, self._prefix = to, depth, prefix
        self._refs = to.buffer()

    def add(self, values: list[Any]) -> bool:
        """Write each value, then its ref."""
        refs = array("Q")
        encode, depth = self._to.encode, self._depth
        for k, value in enumerate(values):
            try:
                refs.append(encode(value, depth))
            except UnfitError as error:
                error.index = k
                raise
        self._refs.append(refs)
        return True

    def finish(self) -> tuple[int, tuple[int, ...]]:
        """Store the refs."""
        return F.REFS, (self._prefix, *self._to.store(self._refs))


class Numbers(Form):
    """Python's bool, int (of 64 bits), float or complex, or NumPy's scalars of one dtype."""

    def __init__(self, to: Encoder, kind: type, dtype: Any, code: str) -> None:
        self._to, self._kind, self._dtype, self._code = to, kind, np.dtype(dtype), code
        self._data = to.buffer()

    def add(self, values: list[Any]) -> bool:
        """Write the numbers."""
        if set(map(type, values)) != {self._kind}:
            return False
        if not self._code and {value.dtype for value in values} != {self._dtype}:
            return False
        try:
            found = np.array(values, self._dtype)
        except OverflowError:  # an int of more than 64 bits
            return False
        self._data.append(found.view(np.uint8))
        return True

    def finish(self) -> tuple[int, tuple[int, ...]]:
        """Store the numbers."""
        dtype = 0 if self._code else self._to.data(dtype_text(self._dtype))
        return F.NUMBERS, (ord(self._code or "\0"), dtype, *self._to.store(self._data))


class Arrays(Form):
    """Arrays of one dtype and shape, stacked."""

    def __init__(self, to: Encoder, first: Any) -> None:
        self._to, self._dtype, self._shape = to, first.dtype, first.shape
        self._text = dtype_text(first.dtype)
        self._data = to.buffer()

    def add(self, values: list[Any]) -> bool:
        """Write the arrays' elements in C order."""
        for value in values:
            if type(value) not in PLAIN_ARRAYS or value.shape != self._shape:
                return False
            if value.dtype is not self._dtype and not self._is_same(value.dtype):
                return False
        for value in values:
            flat = np.ascontiguousarray(value.view(np.ndarray)).reshape(-1)
            self._data.append(flat.view(np.uint8))
        return True

    def _is_same(self, dtype: np.dtype[Any]) -> bool:
        return dtype == self._dtype and dtype_text(dtype) == self._text

    def finish(self) -> tuple[int, tuple[int, ...]]:
        """Store the elements."""
        dtype = self._to.data(self._text)
        place = self._to.store(self._data)
        return F.ARRAYS, (dtype, *place, len(self._shape), *self._shape)


class Bytes(Form):
    """Strings or bytes, one after the other, and where each ends."""

    def __init__(self, to: Encoder, kind: type) -> None:
        self._to, self._kind = to, kind
        self._ends = to.buffer()
        self._ends.append(bytes(F.WORD))
        self._data = to.buffer()

    def add(self, values: list[Any]) -> bool:
        """Write the strings."""
        if set(map(type, values)) != {self._kind}:
            return False
        start = self._data.size
        if self._kind is str:
            joined = "".join(values)
            if joined.isascii():
                self._data.append(joined.encode())
            else:
                values = [value.encode("utf-8", "surrogatepass") for value in values]
                self._data.append(b"".join(values))
        else:
            self._data.append(b"".join(values))
        ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values))) + start
        self._ends.append(ends.view(np.uint8))
        return True

    def finish(self) -> tuple[int, tuple[int, ...]]:
        """Store both."""
        size = self._data.size
        form = F.TEXT if self._kind is str else F.BINARY
        return form, (*self._to.store(self._ends), *self._to.store(self._data), size)


class Lists(Form):
    """Lists, or tuples: all their items as one list, and where each ends."""

    def __init__(self, to: Encoder, kind: type, depth: int) -> None:
        self._to, self._kind = to, kind
        self._items = ListBuilder(to, depth + 1)
        self._ends = to.buffer()
        self._ends.append(bytes(F.WORD))

    def add(self, values: list[Any]) -> bool:
        """Write the items of all lists."""
        if set(map(type, values)) != {self._kind} or not are_alike(values):
            return False
        ends = list(accumulate(map(len, values)))
        start = self._items.count
        if ends[-1] <= PIECE:
            self._extend(list(chain.from_iterable(values)), ends, 0)
        else:
            for value, end in zip(values, ends, strict=True):
                first = end - len(value)
                for k in range(0, len(value), PIECE):
                    self._extend(list(value[k : k + PIECE]), ends, first + k)
        self._ends.append((np.array(ends, np.int64) + start).view(np.uint8))
        return True

    def _extend(self, items: list[Any], ends: list[int], first: int) -> None:
        try:
            self._items.extend(items)
        except UnfitError as error:
            at = first + error.index
            error.index = bisect_right(ends, at)
            begin = ends[error.index - 1] if error.index else 0
            raise error.within(f"[{at - begin}]") from None

    def finish(self) -> tuple[int, tuple[int, ...]]:
        """Store the items and the ends."""
        items = self._items.finish(F.LIST)
        tag = F.LIST if self._kind is list else F.TUPLE
        return F.LISTS, (tag, *self._to.store(self._ends), items)


class Records(Form):
    """Dicts of the same keys, dataclasses or named tuples: a list for each field.

    Also tuples of one length whose items differ in kind.
    """

    def __init__(self, to: Encoder, first: Any, depth: int) -> None:
        self._to, self._kind = to, type(first)
        self._form, self._names, self._getters = _fields(first)
        self._class = self._kind if self._form in (F.DATACLASSES, F.NAMED_TUPLES) else None
        if self._class is not None:
            to.name(self._class)
        self._fields = [ListBuilder(to, depth + 1) for _ in self._getters]

    def add(self, values: list[Any]) -> bool:
        """Write the values of each field."""
        if set(map(type, values)) != {self._kind}:
            return False
        if self._form == F.DICTS and set(map(tuple, values)) != {self._names}:
            return False
        if self._form == F.TUPLES and set(map(len, values)) != {len(self._fields)}:
            return False
        for k, (get, builder) in enumerate(zip(self._getters, self._fields, strict=True)):
            try:
                builder.extend(_of_field(get, values))
            except UnfitError as error:
                raise error.within(self._step(k)) from None
        return True

    def _step(self, field: int) -> str:
        if self._form == F.DICTS:
            return f"[{self._names[field]!r}]"
        return f".{self._names[field]}" if self._names else f"[{field}]"

    def finish(self) -> tuple[int, tuple[int, ...]]:
        """Store the fields."""
        schema = self._to.schema(self._form, self._class, self._names, len(self._fields))
        return F.RECORDS, (schema, *(builder.finish(F.LIST) for builder in self._fields))


def _of_field(get: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    """Return the values of one field; UnfitError if a record has none."""
    found: list[Any] = []
    try:
        found.extend(map(get, values))  # keeps what it got before an error
    except AttributeError as error:
        unfit = UnfitError(f"the field has no value ({error})")
        unfit.index = len(found)
        raise unfit from None
    return found


def _fields(first: Any) -> tuple[int, tuple[str, ...], list[Callable[[Any], Any]]]:
    """Return a record's form, the names of its fields, and what gets each."""
    kind = type(first)
    if kind is dict:
        names = tuple(first)
        return F.DICTS, names, [itemgetter(name) for name in names]
    if kind is tuple:
        return F.TUPLES, (), [itemgetter(k) for k in range(len(first))]
    names = fields_of(kind)
    if is_named_tuple(kind):
        return F.NAMED_TUPLES, names, [itemgetter(k) for k in range(len(names))]
    return F.DATACLASSES, names, [attrgetter(name) for name in names]


def is_instance(value: Any) -> bool:
    """Return whether a value is a dataclass's or a named tuple's instance."""
    kind = type(value)
    return is_named_tuple(kind) or hasattr(kind, "__dataclass_fields__")


def form_of(to: Encoder, values: list[Any], depth: int) -> Form:
    """Return the form for a list that begins with these values."""
    kinds = set(map(type, values))
    first = values[0]
    kind = type(first)
    if len(kinds) > 1:
        return Refs(to, depth)
    if kind in NUMBER_TYPES:
        code, dtype = NUMBER_TYPES[kind]
        return Numbers(to, kind, dtype, code)
    if kind is str or kind is bytes:
        return Bytes(to, kind)
    if kind is dict:
        if 0 < len(first) <= FIELDS_MAX and set(map(type, first)) == {str}:
            return Records(to, first, depth)
    elif kind is list or kind is tuple:
        if kind is tuple and 1 < len(first) <= TUPLE_FIELDS_MAX:
            if len(set(map(type, first))) > 1 and len(set(map(len, values))) == 1:
                return Records(to, first, depth)
        if are_alike(values):
            return Lists(to, kind, depth)
    elif kind in PLAIN_ARRAYS:
        if first.nbytes and not first.dtype.hasobject:
            return _or_refs(lambda: Arrays(to, first), to, depth)
    elif isinstance(first, np.generic):
        if not isinstance(first, UNSIZED):
            return _or_refs(lambda: Numbers(to, kind, first.dtype, ""), to, depth)
    elif to.is_record(first) and dataclasses_fit(kind):
        return Records(to, first, depth)
    return Refs(to, depth)


def are_alike(values: list[Any]) -> bool:
    """Return whether lists are worth one column: short ones, whose items may be of one kind."""
    if sum(map(len, values)) > LIST_ITEMS_MAX * len(values):
        return False
    firsts = [value[0] for value in values if value]
    kinds = set(map(type, firsts))
    return len(kinds) < 2 and (kinds != {dict} or len(set(map(tuple, firsts))) < 2)


def dataclasses_fit(kind: type) -> bool:
    """Return whether a class has as many fields as records may have, and at least one."""
    return 0 < len(fields_of(kind)) <= FIELDS_MAX


def _or_refs(make: Callable[[], Form], to: Encoder, depth: int) -> Form:
    try:
        return make()
    except TypeError:  # a dtype that only pickle knows: its error names the path then
        return Refs(to, depth)


class ListBuilder:
    """A list that is being written.

    Attributes
    ----------
    count : items so far.
    """

    def __init__(self, to: Encoder, depth: int) -> None:
        self._to, self._depth = to, depth
        self._form: Form | None = None
        self.count = 0

    def extend(self, values: list[Any]) -> None:
        """Write more items.

        Raises
        ------
        UnfitError : one of them cannot be frozen; its `index` says which.
        """
        if not values:
            return
        if self._depth == SEARCH_DEPTH:
            search_cycle(values)
        if self._form is None:
            self._form = form_of(self._to, values, self._depth)
        if not self._form.add(values):
            prefix = self.finish(F.LIST) if self.count else 0
            self._form = Refs(self._to, self._depth, prefix)
            self._form.add(values)
        self.count += len(values)

    def finish(self, tag: int) -> int:
        """Write the list's node; return its ref."""
        form, words = (self._form or Refs(self._to, self._depth)).finish()
        return self._to.node(tag, form, self.count, *words)
