"""Write values as nodes and columns into buffers; `finish` makes one object of them."""

from __future__ import annotations

import dataclasses
import enum
import struct
from collections.abc import Callable, Iterator
from copy import copy
from itertools import islice
from operator import length_hint
from sys import getsizeof
from typing import Any

import numpy as np

from scamem.core.store import layout as L
from scamem.handles.dtypes import dtype_text
from scamem.membership.member import Hold
from scamem.membership.seat import Seat

from . import layout as F
from .buffers import Buffer, assemble, places
from .classes import fields_of, is_named_tuple, name_of
from .forms import PLAIN_ARRAYS, ListBuilder, is_instance
from .hashing import buckets_of, stable_hash
from .leaves import LEAVES, dump_leaf
from .mappings import FrozenDict, FrozenSet
from .paths import SEARCH_DEPTH, UnfitError, search_cycle
from .records import class_of
from .sequences import FrozenList, FrozenTuple

CHUNK = 8192  # items that are written at once
STREAM_CHUNK = 1024  # the same from an iterator, and
STREAM_BYTES = 1 << 20  # at most so many bytes of them, estimated from
SAMPLED = 32  # every so many
ARRAY_ALIGN = 64
COLUMN_ALIGN = 16
MEMO_MAX = 1 << 16
MEMO_TEXT_MAX = 4 << 20  # characters in all keys together
MEMO_LENGTH_MAX = 64
Report = Callable[[int, int | None], object]
# Types whose values nobody can change, so an iterator may yield one of them again and again
CHANGING = object()
STEADY = {bool, int, float, complex, str, bytes, type(None)}


class Encoder:
    """Writes one frozen value.

    Parameters
    ----------
    report : called with (items done, items in all or None) of the outermost list.
    """

    def __init__(self, seat: Seat, report: Report | None) -> None:
        self.seat = seat
        self._report = report
        self._on_frames: list[Buffer] = []
        self._heap = self.buffer()
        self._heap.append(bytes(F.HEADER_BYTES))
        self._sections: list[Buffer] = []
        self._memo: dict[Any, int] = {}
        self._memo_left = MEMO_TEXT_MAX
        self._classes: dict[type, str] = {}

    def buffer(self) -> Buffer:
        """Return an empty buffer; `close` closes it if it is on frames."""
        return Buffer(self.seat, self._on_frames)

    def finish(self, root: int) -> Hold:
        """Return a reference (a pin) to the object of all that was written.

        Raises
        ------
        OutOfMemoryError : no frames are left.
        """
        table = self._heap.append(b"", F.WORD)
        size = table + 2 * F.WORD * len(self._sections)
        where = places(size, self._sections)
        numbers = [number for place in where for number in place]
        self._heap.append(struct.pack(f"<{len(numbers)}Q", *numbers))
        total = sum(where[-1]) if where else size
        version = F.VERSION | F.LITTLE_ENDIAN
        self._heap.patch(F.HEADER.pack(F.MAGIC, version, total, root, table, len(where)))
        found: Hold = assemble(self._heap, self._sections).hold.another(L.BY_PIN)
        return found

    def close(self) -> None:
        """Give up what was written. An error's traceback may keep this encoder for long."""
        for buffer in (self._heap, *self._on_frames):
            buffer.close()

    # --- what forms write ----------------------------------------------------------------------

    def node(self, tag: int, form: int, count: int, *words: int, data: Any = b"") -> int:
        """Write a node; return its ref."""
        first = tag | form << 8 | count << F.COUNT_SHIFT
        start = self._heap.append(struct.pack(f"<{1 + len(words)}Q", first, *words), F.WORD)
        if len(data):
            self._heap.append(data)
        return start

    def store(self, column: Buffer) -> tuple[int, int]:
        """Keep a column that is complete; return its section, and the byte where it begins."""
        if column.is_on_frames:
            self._sections.append(column)
            return len(self._sections), 0
        return 0, self._heap.append(column.few, COLUMN_ALIGN)

    def data(self, data: bytes) -> int:
        """Write bytes that occur often; return their ref."""
        return self._once(data, lambda: self.node(F.BYTES, 0, len(data), data=data), len(data))

    def schema(self, form: int, kind: type | None, names: tuple[str, ...], count: int) -> int:
        """Write what records have in common; return its ref."""
        about = "" if kind is None else self.name(kind)

        def write() -> int:
            fields = ListBuilder(self, 0)
            fields.extend(list(names))
            text = self._str(about) if about else 0
            return self.node(F.SCHEMA, form, count, text, fields.finish(F.LIST))

        return self._once((form, about, names, count), write, sum(map(len, names)))

    def is_record(self, value: Any) -> bool:
        """Return whether a value is an instance of a dataclass or named tuple that can be kept."""
        return is_instance(value) and not isinstance(value, enum.Enum)

    def name(self, kind: type) -> str:
        """Return a class's name; UnfitError if other processes could not find the class."""
        found = self._classes.get(kind)
        if found is None:
            plain = class_of(kind)
            try:
                found = name_of(plain)
                if not is_named_tuple(plain) and not issubclass(plain, enum.Enum):
                    object.__new__(plain)
            except TypeError as error:
                raise UnfitError(f"a {plain.__qualname__} cannot be made again: {error}") from None
            self._classes[kind] = found
        return found

    def _once(self, key: Any, write: Callable[[], int], length: int) -> int:
        """Write what has this key, of so many characters, once; return its ref."""
        found = self._memo.get(key)
        if found is None:
            found = write()
            if len(self._memo) < MEMO_MAX and length <= self._memo_left:
                self._memo[key] = found
                self._memo_left -= length
        return found

    # --- values --------------------------------------------------------------------------------

    def encode(self, value: Any, depth: int) -> int:
        """Write a value; return its ref.

        Raises
        ------
        UnfitError : it, or something in it, cannot be frozen.
        """
        kind = type(value)
        if value is None:
            return F.CONSTANT
        write = _WRITERS.get(kind)
        if write is None:
            write = _writer_of(value)
        if depth == SEARCH_DEPTH:
            search_cycle((value,))
        return write(self, value, depth)

    def _bool(self, value: bool, _: int) -> int:
        return F.CONSTANTS.index(value) << F.REF_SHIFT | F.CONSTANT

    def _ellipsis(self, _value: Any, _: int) -> int:
        return F.CONSTANTS.index(...) << F.REF_SHIFT | F.CONSTANT

    def _int(self, value: int, _: int) -> int:
        if type(value) is not int:
            value = int.__index__(value)  # a subclass may say otherwise of itself
        if -F.INTEGER_MAX <= value <= F.INTEGER_MAX:
            return value << F.REF_SHIFT & F.MASK_64 | F.INTEGER
        nbytes = value.bit_length() // 8 + 1
        data = value.to_bytes(nbytes, "little", signed=True)
        return self.node(F.INT, 0, nbytes, data=data)

    def _float(self, value: float, _: int) -> int:
        return self.node(F.FLOAT, 0, 0, data=struct.pack("<d", value))

    def _complex(self, value: complex, _: int) -> int:
        return self.node(F.COMPLEX, 0, 0, data=struct.pack("<2d", value.real, value.imag))

    def _str(self, value: str, _: int = 0) -> int:
        def write() -> int:
            data = value.encode("utf-8", "surrogatepass")
            return self.node(F.STR, 0, len(data), data=data)

        value = str.__str__(value)  # a subclass may say otherwise of itself
        return self._once(value, write, len(value)) if len(value) <= MEMO_LENGTH_MAX else write()

    def _bytes(self, value: bytes | bytearray, _: int) -> int:
        return self.node(F.BYTES, 0, len(value), data=value)

    def _leaf(self, value: Any, _: int) -> int:
        data = dump_leaf(value)
        if data is None:
            raise UnfitError(f"{value!r} has parts of other types; convert it, or use repr()")
        return self.node(F.PICKLE, 0, len(data), data=data)

    def _enum(self, value: enum.Enum, _: int) -> int:
        kind = type(value)
        if value.name in kind.__members__:
            form, ref = F.BY_NAME, self._str(value.name)
        elif isinstance(value, enum.Flag):  # a combination of flags
            form, ref = F.BY_VALUE, self._int(value.value, 0)
        else:
            raise UnfitError(f"{value!r} is not a member of its enum; use its value")
        return self.node(F.ENUM, form, 0, self._str(self.name(kind)), ref)

    def _scalar(self, value: np.generic, depth: int) -> int:
        if isinstance(value, np.str_):
            return self._str(str(value))
        if isinstance(value, np.bytes_):
            return self._bytes(bytes(value), depth)
        data = value.tobytes()
        return self.node(F.SCALAR, 0, len(data), self._dtype(value.dtype), data=data)

    def _array(self, value: Any, _: int) -> int:
        dtype = self._dtype(value.dtype)
        plain = value.view(np.ndarray)
        fortran = plain.flags.f_contiguous and not plain.flags.c_contiguous
        flat = np.ascontiguousarray(plain.T if fortran else plain).reshape(-1)
        at = self._heap.append(flat.view(np.uint8), ARRAY_ALIGN) if flat.size else 0
        form = F.FORTRAN_ORDER if fortran else F.C_ORDER
        return self.node(F.ARRAY, form, plain.ndim, dtype, at, *plain.shape)

    def _dtype(self, dtype: np.dtype[Any]) -> int:
        if dtype.hasobject:
            raise UnfitError("arrays of Python objects cannot be frozen; use a list, x.tolist()")
        try:
            return self.data(dtype_text(dtype))
        except TypeError as error:
            raise UnfitError(str(error)) from None

    # --- containers ----------------------------------------------------------------------------

    def _list(self, value: Any, depth: int, tag: int = F.LIST) -> int:
        builder = ListBuilder(self, depth + 1)
        for k in range(0, len(value), CHUNK):
            self._extend(builder, list(value[k : k + CHUNK]))
            if depth == 0:
                self._say(builder.count, len(value))
        return builder.finish(tag)

    def _tuple(self, value: Any, depth: int) -> int:
        return self._list(value, depth, F.TUPLE)

    def _extend(self, builder: ListBuilder, values: list[Any]) -> None:
        try:
            builder.extend(values)
        except UnfitError as error:
            raise error.within(f"[{builder.count + error.index}]") from None

    def _say(self, done: int, total: int | None) -> None:
        if self._report is not None:
            self._report(done, total)

    def encode_stream(self, items: Iterator[Any]) -> int:
        """Write a list of what an iterator yields; return its ref.

        Not much of it is in private memory at any time. An iterator may yield an object again that
        it has changed: what can change is written before the next item is asked for.
        """
        builder = ListBuilder(self, 1)
        total = length_hint(items, 0) or None
        waiting: list[Any] = []
        nbytes = 0
        for item in items:
            kept = _kept(item)
            if len(waiting) % SAMPLED == 0:
                nbytes += SAMPLED * _size_of(item)
            waiting.append(item if kept is CHANGING else kept)
            if kept is CHANGING or len(waiting) == STREAM_CHUNK or nbytes > STREAM_BYTES:
                self._extend(builder, waiting)
                waiting, nbytes = [], 0
                self._say(builder.count, total)
        self._extend(builder, waiting)
        self._say(builder.count, builder.count)
        return builder.finish(F.LIST)

    def _dict(self, value: Any, depth: int) -> int:
        keys = list(value)
        refs = self._keys(keys, depth)
        values = ListBuilder(self, depth + 1)
        each = iter(value.values())
        for k in range(0, len(keys), CHUNK):
            try:
                values.extend(list(islice(each, CHUNK)))
            except UnfitError as error:
                raise error.within(f"[{keys[k + error.index]!r}]") from None
            if depth == 0:
                self._say(values.count, len(keys))
        words = (refs, values.finish(F.LIST), *self._table(keys))
        return self.node(F.DICT, 0, len(keys), *words)

    def _keys(self, keys: list[Any], depth: int) -> int:
        def write() -> int:
            return self._items(keys, depth, "a key")

        if len(keys) <= MEMO_LENGTH_MAX and set(map(type, keys)) == {str}:
            return self._once(tuple(keys), write, sum(map(len, keys)))
        return write()

    def _items(self, items: list[Any], depth: int, what: str) -> int:
        builder = ListBuilder(self, depth + 1)
        try:
            for k in range(0, len(items), CHUNK):
                builder.extend(items[k : k + CHUNK])
        except UnfitError as error:
            item = items[builder.count + error.index]
            raise UnfitError(f"{what}, {item!r:.60}, {error.why}", "") from None
        return builder.finish(F.LIST)

    def _table(self, keys: list[Any]) -> tuple[int, int, int]:
        """Write a hash table; return its section, byte and bits, 0 if there is none."""
        count = len(keys)
        if count <= F.SMALL:
            return 0, 0, 0
        hashes = np.fromiter(map(stable_hash, keys), np.uint64, count)
        bits = count.bit_length()
        buckets = buckets_of(hashes, bits).astype(np.int64)
        number = np.uint32 if count < 1 << 32 else np.uint64
        starts = np.zeros((1 << bits) + 1, number)
        np.cumsum(np.bincount(buckets, minlength=1 << bits), out=starts[1:], dtype=number)
        table = self.buffer()
        table.append(starts.view(np.uint8))
        table.append(np.argsort(buckets, kind="stable").astype(number).view(np.uint8))
        return (*self.store(table), bits)

    def _set(self, value: Any, depth: int, tag: int = F.SET) -> int:
        items = list(value)
        ref = self._items(items, depth, "an item of a set")
        return self.node(tag, 0, len(items), ref, *self._table(items))

    def _frozenset(self, value: Any, depth: int) -> int:
        return self._set(value, depth, F.FROZENSET)

    def _frozen_set(self, value: FrozenSet, depth: int) -> int:
        return self._set(value, depth, F.FROZENSET if value.is_hashable else F.SET)

    def _instance(self, value: Any, depth: int) -> int:
        kind = type(value)
        names = fields_of(kind)
        form = F.NAMED_TUPLES if is_named_tuple(kind) else F.DATACLASSES
        refs = [self.schema(form, kind, names, len(names))]
        for name in names:
            try:
                refs.append(self.encode(getattr(value, name), depth + 1))
            except UnfitError as error:
                raise error.within(f".{name}") from None
            except AttributeError as error:
                raise UnfitError(f"the field has no value ({error})", f".{name}") from None
        return self.node(F.INSTANCE, form, len(names), *refs)


Writer = Callable[[Encoder, Any, int], int]


def _kept(item: Any) -> Any:
    """Return an item, or a copy, that its iterator cannot change; CHANGING for a deep one."""
    kind = type(item)
    if kind in STEADY:
        return item
    if kind is dict:
        return item.copy() if set(map(type, item.values())) <= STEADY else CHANGING
    if kind is list or isinstance(item, tuple):
        return (item[:] if kind is list else item) if set(map(type, item)) <= STEADY else CHANGING
    if is_instance(item) and STEADY.issuperset(type(one) for one in _values_of(item)):
        return copy(item)
    return CHANGING


def _values_of(item: Any) -> list[Any]:
    """Return the values of a dataclass's fields."""
    return [getattr(item, name, CHANGING) for name in fields_of(type(item))]


def _size_of(item: Any) -> int:
    """Return roughly the bytes that an item takes in private memory."""
    inside = item if type(item) in (dict, list, tuple) else ()
    values = item.values() if type(item) is dict else ()
    return getsizeof(item) + sum(map(getsizeof, inside)) + sum(map(getsizeof, values))


_WRITERS: dict[type, Writer] = {
    bool: Encoder._bool,
    type(...): Encoder._ellipsis,
    int: Encoder._int,
    float: Encoder._float,
    complex: Encoder._complex,
    str: Encoder._str,
    bytes: Encoder._bytes,
    bytearray: Encoder._bytes,
    list: Encoder._list,
    tuple: Encoder._tuple,
    dict: Encoder._dict,
    set: Encoder._set,
    frozenset: Encoder._frozenset,
    **dict.fromkeys(LEAVES, Encoder._leaf),
    **dict.fromkeys(PLAIN_ARRAYS, Encoder._array),
}
# Subclasses are kept as the type that they extend.
_EXTENDED: tuple[tuple[type | tuple[type, ...], Writer], ...] = (
    (enum.Enum, Encoder._enum),
    (np.generic, Encoder._scalar),
    (FrozenTuple, Encoder._tuple),
    (FrozenList, Encoder._list),
    (FrozenDict, Encoder._dict),
    (FrozenSet, Encoder._frozen_set),
)
_BASES = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex)


def _writer_of(value: Any) -> Writer:
    """Return what writes a value whose type is none of those that are known exactly."""
    for kind, write in _EXTENDED:
        if isinstance(value, kind):
            return write
    if is_instance(value) and not isinstance(value, type):
        return Encoder._instance
    for base in _BASES:
        if isinstance(value, base):
            return _WRITERS[base]
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    raise UnfitError(
        f"values of type {name} cannot be frozen. These can be: None, "
        "numbers, strings, bytes, lists, tuples, dicts, sets, dataclasses, named tuples, enums, "
        "dates, NumPy's arrays and scalars. Convert it first"
    )


def is_iterator(value: Any) -> bool:
    """Return whether a value is an iterator, whose items are to be frozen as a list."""
    return hasattr(type(value), "__next__") and not dataclasses.is_dataclass(value)
