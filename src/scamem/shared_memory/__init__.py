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

import contextlib
import errno
import operator
import os
import secrets
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scamem.arrays import create as arrays
from scamem.arrays.array import Array
from scamem.arrays.construct import address_of
from scamem.arrays.place import locate
from scamem.core.store import layout as L
from scamem.errors import (
    NameExistsError,
    NameNotFoundError,
    OutOfMemoryError,
    ScamemError,
    StaleHandleError,
)
from scamem.handles import names
from scamem.handles.convert import from_handle
from scamem.handles.description import encode_array
from scamem.handles.elsewhere import register_reducer
from scamem.handles.handle import lend
from scamem.handles.runs import for_pickler
from scamem.later import load
from scamem.membership import naming
from scamem.membership.member import Hold
from scamem.membership.seat import Seat
from scamem.views.window import Window

from . import keeping
from .lists import ShareableList

if TYPE_CHECKING:
    from .manager import SharedMemoryManager

__all__ = ["SharedMemory", "SharedMemoryManager", "ShareableList"]

NAME_BYTES_MAX: Final = 254  # as of a file's name, of which the slash is one
_USE_POSIX = True  # as of the original, for its tests
_SHM_NAME_PREFIX = "/psm_"
_O_CREX = os.O_CREAT | os.O_EXCL


def _make_filename() -> str:
    """Return a name for a new segment."""
    return _SHM_NAME_PREFIX + secrets.token_hex(4)


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
    _keep: Hold | None = None  # of a tracked segment that this process created

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
        keeping.drop_unlinked()
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
        seat = keeping.arena()
        if names.contains(seat, text):
            seat.reap()  # perhaps only processes that were killed had it open
            if names.contains(seat, text):
                raise _exists(text)
        try:
            array = arrays.zeros(seat, (nbytes,), np.uint8)
        except OutOfMemoryError:
            keeping.drop_unlinked(len(keeping.kept))
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
        seat = keeping.arena()
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
        writable = bool(array.flags.writeable)  # not in a process that joined read-only
        self._window = Window(array, address_of(array), array.nbytes, writable)
        self._buf = memoryview(self._window)
        self._size = array.nbytes
        self._name = name
        self._version = version
        self._seat: Seat = _hold_of(array).member.seat
        self._pid = os.getpid()
        self._unlinked = False
        self._went = False  # its name was there when it was closed here, and perhaps went then
        keeping.opened.add(self)

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # Not close(): an array over `buf` may be in use, and keeps the memory by itself.
        if self._name is not None and not is_finalizing():
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
        return name.removeprefix("/")

    @property
    def size(self) -> int:
        """The segment's size in bytes: what was asked for, in every process."""
        return self._size

    def close(self) -> None:
        """Close the segment in this process. A second call does nothing.

        Raises
        ------
        BufferError : views of `buf` exist: slices of it, or arrays of np.frombuffer; the segment
            stays open. Arrays of np.ndarray(buffer=shm.buf) do not count; they keep the memory.
        """
        if self._buf is None:
            return
        self._buf.release()
        if self._window.exports:
            self._buf = memoryview(self._window)
            raise BufferError(
                f"asked to close segment {self.name!r}, but views of its `buf` exist; delete them "
                "first"
            )
        self._buf = None
        try:
            if not self._pass_on() and not self._unlinked:
                self._went = self._is_named()
        finally:
            self._array = None
            del self._window
            keeping.opened.discard(self)
        keeping.drop_unlinked()

    def _pass_on(self) -> bool:
        """Let the process keep the segment if it created it, until its name is gone."""
        keep, self._keep = self._keep, None
        if keep is None or self._pid != os.getpid():
            return False
        keeping.kept[self._seat.arena_id, self._version] = self._seat, self._encoded(), keep
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
        seat = self._seat if self._seat.is_usable() else keeping.arena()
        there = seat.arena_id == self._seat.arena_id
        there = there and naming.unpublish_name(seat.member, self._encoded(), self._version)
        self._keep = None
        keeping.kept.pop((self._seat.arena_id, self._version), None)
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
    sent = for_pickler(hold.member, lend(hold, encode_array(array, 0)), sys._getframe(1))
    return _received, (type(segment), segment._name, segment._version, sent)


def _received(kind: type[SharedMemory], name: str, version: int, sent: bytes) -> SharedMemory:
    """Open a segment that was sent to this process."""
    made = kind.__new__(kind)
    try:
        made._set(from_handle(sent), name, version)
    except StaleHandleError as error:
        raise FileNotFoundError(errno.ENOENT, f"this segment is gone: {error}", name) from error
    return made


ShareableList.make_segment = SharedMemory
register_reducer(SharedMemory, _reduce_by_handle)


def __getattr__(name: str) -> Any:
    if name == "SharedMemoryManager":
        return load("scamem.shared_memory.manager").SharedMemoryManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
