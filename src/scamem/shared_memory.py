"""A drop-in for `multiprocessing.shared_memory`. Change one import:

    from scamem import shared_memory    # was: from multiprocessing import shared_memory

A segment lies in the user's arena `shared_memory`, which is created on first use. Processes that
have a segment open are counted, so no resource tracker is needed: a segment goes with the last of
them, also if it was killed, and not before.

State. A segment is an array of bytes that is published in the arena. With track=True the name is
weak (`Arena.publish`): the segment and its name go with the last process that has it open. With
track=False the name keeps the segment until `unlink()`.

The process that created a tracked segment has it open until it ends or somebody unlinks the name,
even after `close()`: others find a segment whose creator has closed it. Nobody tells the creator
that a name was unlinked; it looks at some of the segments that it keeps whenever it creates, opens
or closes one.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import operator
import os
import secrets
import struct
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .arrays import create as arrays
from .arrays.array import Array
from .arrays.place import locate
from .core.store import layout as L
from .errors import (
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRemovedError,
    NameExistsError,
    NameNotFoundError,
    OutOfMemoryError,
    ScamemError,
    StaleHandleError,
)
from .handles import names
from .handles.convert import from_handle
from .handles.description import encode_array
from .handles.elsewhere import register_reducer
from .handles.handle import lend
from .handles.runs import for_pickler
from .membership import joined, naming
from .membership.member import Hold
from .membership.seat import Seat
from .memory import sections

if TYPE_CHECKING:
    from .managers import SharedMemoryManager

__all__ = ["SharedMemory", "SharedMemoryManager", "ShareableList"]

ARENA: Final = "shared_memory"
RETENTION_BYTES: Final = 64 << 20  # of freed memory, which the arena keeps for the next segment
LOOKED_AT: Final = 16  # kept segments that are looked at each time
NAME_BYTES_MAX: Final = 254  # as of a file's name, of which the slash is one
_USE_POSIX = True
_SHM_NAME_PREFIX = "/psm_"
_O_CREX = os.O_CREAT | os.O_EXCL

_joined: Seat | None = None
_open: weakref.WeakSet[SharedMemory] = weakref.WeakSet()
# Segments that this process created and closed, by version: where, the name, and what keeps it.
_kept: dict[int, tuple[Seat, bytes, Hold]] = {}


def _make_filename() -> str:
    """Return a name for a new segment."""
    return _SHM_NAME_PREFIX + secrets.token_hex(4)


def _arena() -> Seat:
    """Return this process's seat in the arena of segments; join or create it if necessary."""
    global _joined
    found = _joined
    if found is not None and found.is_usable():
        with contextlib.suppress(ArenaRemovedError):
            found.check_still_there()
            return found
    try:
        found = joined.join(ARENA)
    except ArenaNotFoundError:
        try:
            found = joined.create(ARENA, None)
            sections.set_retention(found, RETENTION_BYTES)
        except ArenaExistsError:  # another process was faster
            found = joined.join_or_create(ARENA, None)
    _joined = found
    return found


def _drop_unlinked(most: int = LOOKED_AT) -> None:
    """Let go of segments that this process keeps open, and that others have unlinked."""
    for version in list(islice(_kept, most)):
        kept = _kept.pop(version, None)
        if kept is not None:
            seat, name, _ = kept
            if names.contains_version(seat, name, version):
                _kept[version] = kept  # at the end: the others have their turn first


def _leave() -> None:
    """At exit: close what is open, and leave no free memory behind if nobody else is there."""
    for segment in list(_open):
        with contextlib.suppress(BufferError):
            segment.close()
    _kept.clear()
    seat = _joined
    if seat is None or not seat.is_usable():
        return
    with contextlib.suppress(ScamemError, OSError):
        seat.reap()
        if not seat.has_other_members():
            sections.trim_to(seat, 0, None)
        joined.close(seat)


atexit.register(_leave)
os.register_at_fork(after_in_child=_kept.clear)  # only their creator keeps them


class SharedMemory:
    """A named segment of memory that processes of the same user open by its name.

    >>> from scamem import shared_memory
    >>> a = shared_memory.SharedMemory(create=True, size=10)
    >>> b = shared_memory.SharedMemory(a.name)    # in any process
    >>> b.buf[:3] = b"abc"
    >>> bytes(a.buf[:3]), a.size
    (b'abc', 10)
    >>> b.close(); a.close(); a.unlink()

    Parameters
    ----------
    name : of the segment; None for a new one: a unique name is made.
    create : create the segment, which is filled with zeros. False: open an existing one.
    size : bytes of a new segment; ignored if an existing one is opened.
    track : of a new segment: True: its name goes when the last process that has it open is gone.
        False: its name stays until `unlink`.

    Raises
    ------
    FileExistsError, FileNotFoundError : as `create` says.
    ValueError : there is no size or no name.
    MemoryError : names the limit.

    Ownership: the segment is open until `close` or deallocation; arrays made over `buf` keep its
    memory. Pickled between processes, it is also kept while it is on its way.
    Threads: any. fork: the child has it open too.
    """

    _name: str | None = None
    _buf: memoryview | None = None
    _flags = os.O_RDWR

    def __init__(
        self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True
    ) -> None:
        nbytes = operator.index(size)
        if nbytes < 0:
            raise ValueError("'size' must be a positive integer")
        if create:
            self._flags = _O_CREX | os.O_RDWR
            if nbytes == 0:
                raise ValueError("'size' must be a positive number different from zero")
        if name is None and not self._flags & os.O_EXCL:
            raise ValueError("'name' can only be None if create=True")
        _drop_unlinked()
        if name is None:
            self._create_unnamed(nbytes, track)
        elif self._flags & os.O_EXCL:
            self._create(f"/{name}", nbytes, track)
        else:
            try:
                self._attach(f"/{name}")
            except FileNotFoundError:
                if not self._flags & os.O_CREAT:
                    raise
                self._create(f"/{name}", nbytes, track)

    def _create_unnamed(self, nbytes: int, track: bool) -> None:
        while True:
            with contextlib.suppress(FileExistsError):
                return self._create(_make_filename(), nbytes, track)

    def _create(self, name: str, nbytes: int, track: bool) -> None:
        text = _checked_name(name)
        seat = _arena()
        if names.contains(seat, text):
            seat.reap()  # perhaps only processes that were killed had it open
            if names.contains(seat, text):
                raise _exists(text)
        try:
            array = arrays.zeros(seat, (nbytes,), np.uint8)
        except OutOfMemoryError:
            _drop_unlinked(len(_kept))
            array = arrays.zeros(seat, (nbytes,), np.uint8)
        try:
            version = names.publish(seat, text, array, weak=track)
        except NameExistsError:  # another process was faster
            raise _exists(text) from None
        self._set(array, name, version)
        if track:
            self._keep = _hold_of(array).another(L.BY_HAND)

    def _attach(self, name: str) -> None:
        text = _checked_name(name)
        seat = _arena()
        seat.reap()  # a segment that only killed processes had open is gone
        try:
            array, version = names.find(seat, text)
        except NameNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT,
                f"no segment has this name in {seat.path}; create it first, or keep it open in the "
                "process that created it",
                text,
            ) from None
        if not isinstance(array, Array) or array.dtype != np.uint8 or array.ndim != 1:
            raise ValueError(f"{text!r} is a name in {seat.path}, but not that of a segment")
        self._set(array, name, version)

    def _set(self, array: Array, name: str, version: int) -> None:
        self._array: Array | None = array
        self._buf = array.data
        self._size = array.nbytes
        self._name = name
        self._version = version
        self._seat: Seat = _hold_of(array).member.seat
        self._keep: Hold | None = None  # of a tracked segment that this process created
        self._pid = os.getpid()
        self._unlinked = False
        self._went = False  # its name was there when it was closed here, and perhaps went then
        _open.add(self)

    def __del__(self) -> None:
        # Not close(): an array over `buf` may be in use, and keeps the memory by itself.
        if self._name is not None and not sys.is_finalizing():
            self._pass_on()

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, (self.name, False, self.size)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.name!r}, size={self.size})"

    @property
    def buf(self) -> memoryview | None:
        """The segment's memory: writable bytes. None after `close`."""
        return self._buf

    @property
    def name(self) -> str:
        """The segment's name, which other processes open it by."""
        name = self._name or ""
        return name[1:] if name.startswith("/") else name

    @property
    def size(self) -> int:
        """The segment's size in bytes: what was asked for, in every process."""
        return self._size

    def close(self) -> None:
        """Close the segment in this process. A second call does nothing.

        Raises
        ------
        BufferError : views of `buf` exist. Arrays of `np.ndarray(..., buffer=shm.buf)` do not count
            as such; they keep the memory.
        """
        if self._buf is None:
            return
        self._buf.release()
        self._buf = None
        if not self._pass_on() and not self._unlinked:
            self._went = self._is_named()
        self._array = None
        _open.discard(self)
        _drop_unlinked()

    def _pass_on(self) -> bool:
        """Let the process keep the segment if it created it, until its name is gone."""
        keep, self._keep = self._keep, None
        if keep is None or self._pid != os.getpid():
            return False
        _kept[self._version] = self._seat, self._encoded(), keep
        return True

    def _is_named(self) -> bool:
        """Return whether the name shows this segment."""
        return names.contains_version(self._seat, self._encoded(), self._version)

    def _encoded(self) -> bytes:
        return names.encode_name(_checked_name(self._name or ""))

    def unlink(self) -> None:
        """Remove the segment's name. Its memory goes when the last process closes it.

        Call it once, in any process, before or after `close`.

        Raises
        ------
        FileNotFoundError : the name is gone.
        """
        seat = self._seat if self._seat.is_usable() else _arena()
        there = seat.arena_id == self._seat.arena_id
        there = there and naming.unpublish_name(seat.member, self._encoded(), self._version)
        self._keep = None
        _kept.pop(self._version, None)
        gone = self._unlinked or not self._went
        self._unlinked = True
        if not there and gone:
            raise FileNotFoundError(
                errno.ENOENT, "this segment was unlinked before, here or elsewhere", self.name
            )


def _exists(name: str) -> FileExistsError:
    message = "a segment of this name exists; open it with create=False, or choose another name"
    return FileExistsError(errno.EEXIST, message, name)


def _hold_of(array: Array) -> Hold:
    """Return the reference that keeps a segment's memory."""
    place = locate(array)
    if place is None:
        raise ScamemError("a segment has private memory")
    return place.hold


def _checked_name(name: str) -> str:
    """Return a segment's name as the arena has it, without the slash that POSIX names begin with.

    Raises
    ------
    OSError : it is empty, too long, or has another slash, as of shm_open().
    """
    text = name.lstrip("/")
    if "\0" in text:
        raise ValueError("embedded null character")
    if not text or "/" in text:
        raise OSError(errno.EINVAL, "a name has one character or more, and no slash inside", name)
    if len(text.encode()) > NAME_BYTES_MAX:
        raise OSError(errno.ENAMETOOLONG, f"a name has at most {NAME_BYTES_MAX} bytes", name)
    return text


def _reduce_by_handle(segment: SharedMemory) -> tuple[Any, ...]:
    """Pickle a segment for another process: a handle keeps it on its way."""
    array = segment._array
    if array is None:
        return segment.__reduce__()
    hold = _hold_of(array)
    sent = lend(hold, encode_array(array, 0))
    sent = for_pickler(hold.member, sent, sys._getframe(1))
    return _received, (type(segment), segment._name, segment._version, sent)


def _received(kind: type[SharedMemory], name: str, version: int, sent: bytes) -> SharedMemory:
    """Open a segment that was sent to this process."""
    made = kind.__new__(kind)
    try:
        made._set(from_handle(sent), name, version)
    except StaleHandleError as error:
        raise FileNotFoundError(errno.ENOENT, f"this segment is gone: {error}", name) from error
    return made


register_reducer(SharedMemory, _reduce_by_handle)


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

    def __init__(self, sequence: Iterable[Any] | None = None, *, name: str | None = None) -> None:
        if name is not None and sequence is None:
            self.shm = SharedMemory(name)
            self._check()
            return
        items = [_item(value) for value in sequence or ()]
        at = _HEAD.size + _PLACE.size * len(items)
        room = [_room(*item) for item in items]
        self.shm = SharedMemory(name, create=True, size=at + sum(room))
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

    __class_getitem__ = classmethod(types.GenericAlias)


_MAGIC: Final = 0x7473696C6D656D73  # "smemlist" read as little-endian bytes
_HEAD: Final = struct.Struct("<QQ")  # {_MAGIC, items}
_PLACE: Final = struct.Struct("<QQQQ")
_NUMBER: Final = struct.Struct("<q")
_REAL: Final = struct.Struct("<d")
_ALIGN_BYTES: Final = 8
_KINDS: Final = (bool, int, float, str, bytes, type(None))  # bool first, since it is an int
_FORMATS: Final = ("xxxxxxx?", "q", "d", "{}s", "{}s", "xxxxxx?x")
_LOADS: Final[tuple[Callable[[bytes], Any], ...]] = (
    lambda data: data != b"\0",
    lambda data: _NUMBER.unpack(data)[0],
    lambda data: _REAL.unpack(data)[0],
    bytes.decode,
    bytes,
    lambda data: None,
)
_STORES: Final[tuple[Callable[[Any], bytes], ...]] = (
    lambda value: b"\1" if value else b"\0",
    _NUMBER.pack,
    _REAL.pack,
    lambda value: str(value).encode(),
    bytes,
    lambda value: b"",
)


def _item(value: Any) -> tuple[int, bytes]:
    """Return an item's kind, a place in `_KINDS`, and its bytes."""
    for kind, of in enumerate(_KINDS):
        if isinstance(value, of):
            return kind, _STORES[kind](value)
    raise KeyError(
        f"a ShareableList holds int, float, bool, str, bytes and None, not {type(value).__name__}"
    )


def _room(kind: int, data: bytes) -> int:
    """Return the bytes that an item gets: 8, or as many more as text or bytes may grow to."""
    longer = len(data) if _KINDS[kind] in (str, bytes) else 0
    return _ALIGN_BYTES * (longer // _ALIGN_BYTES + 1)


def __getattr__(name: str) -> Any:
    if name == "SharedMemoryManager":
        from .managers import SharedMemoryManager

        return SharedMemoryManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
