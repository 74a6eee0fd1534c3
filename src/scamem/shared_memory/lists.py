"""ShareableList: a list of fixed length, in a segment.

State. A head {_MAGIC, number of items}, then a place for each item {first byte, bytes of room,
bytes, kind}, then the items. The number of an item's bytes is stored, so zeros at its end stay.
"""

from __future__ import annotations

import operator
import struct
import types
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from . import SharedMemory

_MAGIC: Final = 0x7473696C6D656D73  # "smemlist" read as little-endian bytes
_HEAD: Final = struct.Struct("<QQ")  # {_MAGIC, items}
_PLACE: Final = struct.Struct("<QQQQ")
_NUMBER: Final = struct.Struct("<q")
_REAL: Final = struct.Struct("<d")
_ALIGN_BYTES: Final = 8
_KINDS: Final[tuple[type, ...]] = (
    bool,
    int,
    float,
    str,
    bytes,
    type(None),
)  # bool first, since it is an int
_FORMATS: Final = ("xxxxxxx?", "q", "d", "{}s", "{}s", "xxxxxx?x")
_LOADS: Final[tuple[Callable[[bytes], Any], ...]] = (
    lambda data: data != b"\0",
    lambda data: _NUMBER.unpack(data)[0],
    lambda data: _REAL.unpack(data)[0],
    bytes.decode,
    bytes,
    lambda _: None,
)
_STORES: Final[tuple[Callable[[Any], bytes], ...]] = (
    lambda value: b"\1" if value else b"\0",
    _NUMBER.pack,
    _REAL.pack,
    lambda value: str(value).encode(),
    bytes,
    lambda _: b"",
)


class ShareableList:
    """A list of fixed length whose items lie in a segment, for processes to read and replace.

    >>> from scamem import shared_memory
    >>> a = shared_memory.ShareableList(["x", 1, None, b"two\\0"])
    >>> b = shared_memory.ShareableList(name=a.shm.name)    # in any process
    >>> b[1] = 2.5
    >>> list(a)
    ['x', 2.5, None, b'two\\x00']
    >>> b.shm.close(); a.shm.close(); a.shm.unlink()

    Items are int (64 bits), float, bool, str, bytes or None. An item can be replaced by one of
    another type; text and bytes must fit where the first item was: up to the next 8 bytes.

    Parameters
    ----------
    sequence : the items of a new list. None, with a name: open an existing list.
    name : of the list's segment.

    Raises
    ------
    KeyError : an item of another type. struct.error : an int of more than 64 bits.
    ValueError : the segment of this name is not a ShareableList.
    FileExistsError, FileNotFoundError, MemoryError : as SharedMemory.

    Ownership: `shm` is the list's SharedMemory, to close and unlink.
    Threads, processes: no lock: one that reads an item while another replaces it can get a mixture.
    """

    shm: SharedMemory
    make_segment: ClassVar[Callable[..., SharedMemory]]  # SharedMemory itself, when it is there

    def __init__(self, sequence: Iterable[Any] | None = None, *, name: str | None = None) -> None:
        if name is not None and sequence is None:
            self.shm = self.make_segment(name)
            self._check()
            return
        values = list(sequence or ())
        items = [_item(value) for value in values]
        at = _HEAD.size + _PLACE.size * len(items)
        room = [_room(value, len(data)) for value, (_, data) in zip(values, items, strict=True)]
        self.shm = self.make_segment(name, create=True, size=at + sum(room))
        _HEAD.pack_into(self._bytes, 0, _MAGIC, len(items))
        for position, ((kind, data), nbytes) in enumerate(zip(items, room, strict=True)):
            self._store(position, at, nbytes, kind, data)
            at += nbytes

    @property
    def _bytes(self) -> memoryview:
        if self.shm.buf is None:
            raise ValueError("the list's segment was closed; open the list again by its name")
        return self.shm.buf

    def _check(self) -> None:
        size = self.shm.size
        if size >= _HEAD.size:
            magic, count = _HEAD.unpack_from(self._bytes)
            if magic == _MAGIC and count <= (size - _HEAD.size) // _PLACE.size:
                return
        name = self.shm.name
        self.shm.close()
        raise ValueError(f"segment {name!r} is not a ShareableList; open it as a SharedMemory")

    def _store(self, position: int, at: int, room: int, kind: int, data: bytes) -> None:
        self._bytes[at : at + len(data)] = data
        place = _HEAD.size + _PLACE.size * position
        _PLACE.pack_into(self._bytes, place, at, room, len(data), kind)

    def _place(self, position: int) -> tuple[int, int, int, int]:
        """Return where an item is: {first byte, bytes of room, bytes, kind}."""
        count = len(self)
        index = operator.index(position)
        index += count if index < 0 else 0
        if not 0 <= index < count:
            raise IndexError("index out of range")
        place: tuple[int, int, int, int]
        place = _PLACE.unpack_from(self._bytes, _HEAD.size + _PLACE.size * index)
        at, room, nbytes, kind = place
        if at + room > self.shm.size or nbytes > room or kind >= len(_FORMATS):
            raise ValueError(f"item {index} of {self.shm.name!r} was overwritten by other data")
        return place

    def __getitem__(self, position: int) -> Any:
        at, _, nbytes, kind = self._place(position)
        return _LOADS[kind](bytes(self._bytes[at : at + nbytes]))

    def __setitem__(self, position: int, value: Any) -> None:
        kind, data = _item(value)
        try:
            at, room, _, _ = self._place(position)
        except IndexError:
            raise IndexError("assignment index out of range") from None
        if len(data) > room:
            raise ValueError(
                f"bytes/str item exceeds available storage: it has {len(data)} bytes, and there is "
                f"room for {room}"
            )
        index = position if position >= 0 else position + len(self)
        self._store(index, at, room, kind, data)

    def __len__(self) -> int:
        return int(_HEAD.unpack_from(self._bytes)[1])

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({list(self)}, name={self.shm.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(self.__class__, name=self.shm.name), ()

    def _get_packing_format(self, position: int) -> str:
        _, room, _, kind = self._place(position)
        return _FORMATS[kind].format(room)

    @property
    def format(self) -> str:
        """The items' types, as a format of `struct`."""
        return "".join(self._get_packing_format(position) for position in range(len(self)))

    def count(self, value: Any) -> int:
        """Return how many items are equal to a value."""
        return sum(value == item for item in self)

    def index(self, value: Any) -> int:
        """Return the position of the first item that is equal to a value; ValueError if none is."""
        for position, item in enumerate(self):
            if value == item:
                return position
        raise ValueError(f"{value!r} is not in this list")

    __class_getitem__: Any = classmethod(types.GenericAlias)


def _item(value: Any) -> tuple[int, bytes]:
    """Return an item's kind, a place in `_KINDS`, and its bytes."""
    for kind, of in enumerate(_KINDS):
        if isinstance(value, of):
            return kind, _STORES[kind](value)
    raise KeyError(
        f"a ShareableList holds int, float, bool, str, bytes and None, not {type(value).__name__}"
    )


def _room(value: Any, nbytes: int) -> int:
    """Return the bytes that an item gets: as in the original, but enough for text in UTF-8."""
    length = len(value) if isinstance(value, str | bytes) else 0
    return _ALIGN_BYTES * max(length // _ALIGN_BYTES + 1, -(-nbytes // _ALIGN_BYTES))
