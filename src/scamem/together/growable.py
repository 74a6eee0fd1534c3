"""An array that one process appends to while others read. Rows never move, and appear whole.

State. Frame 0 of the object says what a row is, in words that do not change. LENGTH counts the
complete rows, FRAMES the frames that the object is known to have. The rows follow, one after the
other. Every opening maps the object at the start of reserved addresses, so that frames that it
grows by come directly behind.

Steps. append: the writer makes sure that there are frames (it resizes the object, then stores
FRAMES), writes the row, then stores LENGTH (release). A reader loads LENGTH (acquire), maps the
frames below FRAMES that it has not mapped yet, and reads nothing beyond LENGTH.

Why safe: a writer that dies before it stores LENGTH has appended nothing, and the next writer
overwrites its row. One that dies between growing the object and storing FRAMES leaves frames that
the next writer includes. Rows below LENGTH are not written again, and frames are not freed while
any process holds the object.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from scamem.arrays.array import Array
from scamem.arrays.checks import checked_dtype, checked_nbytes, checked_shape
from scamem.arrays.construct import new_array
from scamem.backing.text import Size, bytes_of
from scamem.core.store import layout as L
from scamem.errors import OutOfMemoryError, ScamemError
from scamem.membership.seat import Seat, Seated
from scamem.membership.waiting import Deadline
from scamem.memory.allocation import allocate
from scamem.objects.scamem import Scamem
from scamem.views import growing, making

from .shared import HEAD_WORDS, SharedObject
from .shared_words import SharedWords

GROWABLE = 0x776F72672D6D6373  # "scm-grow"
RESERVED = 1  # bytes of address space that every opening reserves
DIMENSIONS = 2  # of a row
DTYPE_BYTES = 3  # of its description, as in the .npy format
LENGTH = 8
FRAMES = 16
WRITER = 24  # the writer's claim
ENDED = 26
READERS_WAIT = 40
SHAPE = 64  # of a row
DTYPE = 128  # to the end of the frame
DIMENSIONS_MAX = DTYPE - SHAPE
GROWTH_SHARE = 8  # an object grows by at least an eighth
GROWTH_FRAMES_MIN = 16


class GrowableArray(SharedObject):
    """An append-only array: one process appends, any number follow, and nothing is copied.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> rows = arena.growable(3)
    >>> rows.append([1, 2, 3])
    0
    >>> rows.array.tolist()
    [[1.0, 2.0, 3.0]]

    `arena.growable(...)` makes one. It goes to another process by any pickling (always by handle),
    or by publishing its `scamem`, from which the other process makes `GrowableArray(obj)`.

    Parameters
    ----------
    obj : the Scamem of a growable array; ScamemError for another object.

    Attributes
    ----------
    scamem : the object, for publishing. `dtype`, `row_shape` : of a row.

    The first process to append becomes the writer, until it closes this object or dies; then
    another one may continue. While it lives, others that append get BusyError. Rows that a writer
    had not finished when it died never appear.

    Ownership: two references (hand, mapping) until `close` or deallocation; its arrays hold the
    mapping. Address space is reserved for the largest size.
    Threads: one at a time may append, or be the first to read new rows; others get BusyError.
    fork: the child reads on through its own mapping; it can append if its parent does not.
    """

    magic = GROWABLE
    what = "growable array"

    def __init__(self, obj: Scamem) -> None:
        super().__init__(obj)
        frame = obj.seat.frame_bytes
        if obj.nbytes < frame:
            raise ScamemError(f"object {obj.index} is not a growable array; it is empty")
        head = making.stitched(obj.seat, ((obj.hold, 0, 1),), writable=True)
        self.words: SharedWords = SharedWords(head, head.address, HEAD_WORDS)
        self._check_head()
        self.dtype: np.dtype[Any]
        self.row_shape: tuple[int, ...]
        self.dtype, self.row_shape = _row_of(self.words, memoryview(head), obj)
        self._row_bytes = self.dtype.itemsize * math.prod(self.row_shape)
        self._growing = growing.Growing(obj.seat, obj.hold, self.words.load(RESERVED))
        self._rows: NDArray[Any]  # rows that fit into the mapped frames, writable
        self._shown: Any  # the same rows, read-only
        self._refit()
        self._now: Array = self._shown[:0]
        self._open = True

    @classmethod
    def create(
        cls, seat: Seat, row_shape: Any, dtype: DTypeLike, reserve: int | None
    ) -> GrowableArray:
        """Create one without rows; see Arena.growable.

        Parameters
        ----------
        row_shape : an int or ints; (): rows are single elements.
        dtype : any dtype that holds no Python objects.
        reserve : bytes of address space that each process reserves; None: the arena's capacity.

        Raises
        ------
        OutOfMemoryError : no frame or no address space is left; `limit` says which.
        TypeError, ValueError : as NumPy.
        """
        kind, shape = checked_dtype(dtype), checked_shape(row_shape)
        if kind.subdtype is not None:
            kind, inner = kind.subdtype
            shape += inner
        text = repr(np.lib.format.dtype_to_descr(kind)).encode()
        row_bytes = checked_nbytes(shape, kind.itemsize)
        if row_bytes == 0 or len(shape) > DIMENSIONS_MAX:
            raise ValueError(f"asked for rows of shape {shape}, {row_bytes} bytes each; at least 1")
        if len(text) > (HEAD_WORDS - DTYPE) * L.WORD_BYTES:
            raise ValueError(f"asked for a dtype whose description has {len(text):,} bytes")
        room = seat.capacity if reserve is None else min(max(reserve, row_bytes), seat.capacity)
        obj = Scamem(seat, allocate(seat, seat.frame_bytes, L.BY_HAND))
        head = memoryview(making.stitched(seat, ((obj.hold, 0, 1),), writable=True))
        words = head.cast("Q")
        for at in range(HEAD_WORDS):
            words[at] = 0  # whatever the frame's last object left there
        words[RESERVED] = room + seat.frame_bytes
        words[DIMENSIONS] = len(shape)
        words[DTYPE_BYTES] = len(text)
        words[FRAMES] = 1
        for at, length in enumerate(shape, SHAPE):
            words[at] = length
        head[DTYPE * L.WORD_BYTES :][: len(text)] = text
        words[0] = GROWABLE
        return cls(obj)

    def _refit(self) -> None:
        """Make arrays of the rows that fit into the mapped frames."""
        view, frame = self._growing.view, self.scamem.seat.frame_bytes
        room = max(0, view.nbytes - frame)
        shape = (room // self._row_bytes, *self.row_shape)
        start = view.address + frame
        self._rows = new_array(np.ndarray, self.dtype, shape, None, start, True, view)
        self._shown = new_array(Array, self.dtype, shape, None, start, False, view)

    # --- reading -------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of complete rows."""
        self._check_open()
        return self.words.load(LENGTH)

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, *row_shape), as of now."""
        return (len(self), *self.row_shape)

    @property
    def array(self) -> Array:
        """The rows that are there now, as a read-only array; it goes to processes by handle.

        It stays valid and keeps its length; read the attribute again for new rows. If there are
        none, it is the same array, at the cost of one load.
        """
        length = len(self)
        if length == len(self._now):
            return self._now
        if length > len(self._shown):
            self._begin()
            try:
                self._map_rows(length)
            finally:
                self._lock.release()
        self._now = self._shown[:length]
        return self._now

    def _map_rows(self, length: int) -> None:
        frames = self.words.load(FRAMES)
        frame = self.scamem.seat.frame_bytes
        if length * self._row_bytes > (frames - 1) * frame or frames > self.scamem.nr:
            raise ScamemError(
                f"the header of this growable array (object {self.scamem.index}) was overwritten: "
                f"it says {length:,} rows in {frames:,} frames, of {self.scamem.nr:,}"
            )
        self._growing.grow(frames)
        self._refit()

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.array.view(np.ndarray), dtype=dtype, copy=copy)

    def wait(self, rows: int, timeout: float | None = None) -> int:
        """Wait until there are more than `rows` rows; return how many there are.

        Parameters
        ----------
        timeout : seconds; None: as long as the writer lives. ValueError if negative or NaN.

        Returns
        -------
        int : `rows` or fewer only if the writer closed the array first.

        Raises
        ------
        PeerDiedError : the writer died first.
        WaitTimeoutError : the rows did not come in time.
        """
        deadline = Deadline(timeout)
        if len(self) <= rows:
            self._wait(
                lambda: len(self) > rows or self.words.load(ENDED) != 0,
                LENGTH,
                WRITER,
                deadline,
                READERS_WAIT,
            )
        return len(self)

    # --- appending -----------------------------------------------------------------------------

    def append(self, row: Any) -> int:
        """Append one row, cast and broadcast as in an assignment; return its index.

        Raises
        ------
        BusyError : another process, or another thread of this one, appends.
        OutOfMemoryError, TooScatteredError : nothing was appended.
        ValueError, TypeError : as NumPy, if the row does not fit.
        """
        self._check_open()
        self._begin()
        try:
            start = self._make_room(1)
            self._rows[start] = row
            self._publish(start + 1)
            return start
        finally:
            self._lock.release()

    def extend(self, rows: ArrayLike) -> int:
        """Append several rows, which appear at once; return the first index. Errors as `append`."""
        values = np.asarray(rows)
        if values.ndim == 0 or values.shape[1:] != self.row_shape:
            raise ValueError(
                f"asked to append rows of shape {values.shape[1:]}; these are {self.row_shape}"
            )
        self._check_open()
        self._begin()
        try:
            start = self._make_room(len(values))
            self._rows[start : start + len(values)] = values
            self._publish(start + len(values))
            return start
        finally:
            self._lock.release()

    def _make_room(self, count: int) -> int:
        """Become the writer, with room for `count` rows; return the index of the first."""
        if self._take_role(WRITER, "appends to"):
            self.words.store(ENDED, 0)
            self.words.store(FRAMES, self.scamem.nr)  # the last writer may have died before
        start = self.words.load(LENGTH)
        if start + count > len(self._rows):
            self._grow(start + count)
        return start

    def _grow(self, length: int) -> None:
        frame = self.scamem.seat.frame_bytes
        wanted = 1 + -(-length * self._row_bytes // frame)
        most = self._growing.reserved // frame
        if wanted > most:
            raise OutOfMemoryError(
                f"asked for {length:,} rows of {self._row_bytes:,} bytes; addresses for "
                f"{(most - 1) * frame:,} bytes are reserved. Create it with a larger reserve=, or "
                "in an arena of larger capacity",
                asked_bytes=wanted * frame,
                free_bytes=most * frame,
                limit="reserved addresses",
            )
        there = self.words.load(FRAMES)
        if wanted > there:
            ahead = max(wanted, there + max(there // GROWTH_SHARE, GROWTH_FRAMES_MIN))
            try:
                self.scamem.resize(min(ahead, most) * frame)
            except OutOfMemoryError:
                self.scamem.resize(wanted * frame)
            self.words.store(FRAMES, self.scamem.nr)
        self._map_rows(length)

    def _publish(self, length: int) -> None:
        self.words.store(LENGTH, length)
        if self.words.compare_exchange(READERS_WAIT, 1, 0):
            self.words.wake(LENGTH)

    # --- both ----------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes in the rows that are there now."""
        return len(self) * self._row_bytes

    def _end(self) -> None:
        if self.words.load(WRITER) == self._identity():
            self.words.store(ENDED, 1)
            self._give_role(WRITER)
            self.words.wake(LENGTH)

    def _drop(self) -> None:
        del self.words, self._growing, self._rows, self._shown, self._now

    def __repr__(self) -> str:
        if not self._open:
            return "<GrowableArray, closed>"
        return f"<GrowableArray of {self.shape}, {self.dtype}>"


def _row_of(
    words: SharedWords, head: memoryview, obj: Scamem
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read the row's dtype and shape from the head; ScamemError if it has none."""
    try:
        shape = tuple(
            words.load(at)
            for at in range(SHAPE, SHAPE + min(words.load(DIMENSIONS), DIMENSIONS_MAX))
        )
        text = bytes(head[DTYPE * L.WORD_BYTES :][: words.load(DTYPE_BYTES)]).decode()
        dtype = checked_dtype(np.lib.format.descr_to_dtype(ast.literal_eval(text)))
        if checked_nbytes(shape, dtype.itemsize) == 0:
            raise ValueError(f"rows of shape {shape}")
        return dtype, shape
    except (ValueError, TypeError, SyntaxError, KeyError, RecursionError, MemoryError) as error:
        raise ScamemError(
            f"the header of object {obj.index} does not describe its rows ({error}): it was "
            "overwritten"
        ) from error


def growable(
    arena: Seated, row_shape: Any = (), dtype: DTypeLike = float, *, reserve: Size | None = None
) -> GrowableArray:
    """Create an append-only array that other processes follow; see `scamem.GrowableArray`.

    `reserve` is how far it can grow: bytes of address space that each process reserves for it (a
    number, or text such as "1G"), by default the arena's capacity. Raises OutOfMemoryError.
    """
    room = None if reserve is None else bytes_of(reserve)
    return GrowableArray.create(arena._seat, row_shape, dtype, room)
