"""A ring of bytes between two processes, mapped twice in a row so that nothing wraps around.

State. Frame 0 of the object has the words below; the other frames are the ring. WRITTEN and READ
count bytes since the ring was created and never wrap in practice (64 bits). Byte number n lies at n
modulo the capacity. Only the writer stores WRITTEN, and only the reader READ.

Steps. The writer fills bytes between WRITTEN and READ + capacity, then stores WRITTEN (release).
The reader loads WRITTEN (acquire), reads what is below it, then stores READ, which gives those
bytes back. A process that must wait sets its own waiting word, looks again, and then waits on the
other's counter.

`write` waits until all of its bytes fit and stores WRITTEN once, so the ring has all of a record or
none of it. Two kinds of record are written in parts. One is longer than the ring. The other meets a
reader that asked for more bytes than there are: the reader frees no room before it has them, and
the writer gets no room unless it delivers them. Such a reader stores in READER_WANTS how far
WRITTEN has to come. The writer honours it only while the reader lives, and if what it wants fits
into the ring.

Why safe: a writer that dies before it stores WRITTEN has written nothing; a reader that dies before
it stores READ has read nothing. The next process in the role continues from these words. A `write`
that fails reports how many of its bytes are in the ring, as the change of WRITTEN. That is right
wherever a signal interrupted it, since no other process stores that word. A wake for READER_WANTS
that comes between a look and a nap costs one nap: no event word changes with it.

Tried and failed: to write as many bytes as there is room for. After a timeout the reader took the
rest of the record for the beginning of the next.
"""

from __future__ import annotations

from typing import Any

from scamem.backing.text import Size, bytes_of
from scamem.core.store import layout as L
from scamem.errors import ScamemError
from scamem.membership.seat import Seat, Seated
from scamem.membership.waiting import Deadline
from scamem.memory.allocation import allocate
from scamem.objects.scamem import Scamem
from scamem.views import making

from .shared import HEAD_WORDS, SharedObject
from .shared_words import SharedWords

RING = 0x676E69722D6D6373  # "scm-ring"
CAPACITY = 1
WRITTEN = 8  # each on a cache line of its own: one process stores it, the other looks at it
READ = 16
WRITER = 24  # claims of the two roles
READER = 25
ENDED = 26
READER_WAITS = 40
WRITER_WAITS = 48
READER_WANTS = 56


class RingBuffer(SharedObject):
    """A ring of bytes that one process writes and another reads, without a copy in between.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> ring = arena.ring("64K")
    >>> ring.write(b"hello")
    5
    >>> ring.read(5)
    b'hello'

    The ring's frames are mapped twice in a row, so everything that is ready is one contiguous
    buffer. `arena.ring(nbytes)` makes a ring, with a capacity of whole frames. It goes to another
    process by any pickling (always by handle), or by publishing its `scamem`, from which the other
    process makes `RingBuffer(obj)`.

    Parameters
    ----------
    obj : the Scamem of a ring; ScamemError for another object.

    Attributes
    ----------
    scamem : the object, for publishing. `capacity` : of the ring, in bytes.

    The first process to write becomes the writer, and the first to read becomes the reader, until
    it closes the ring or dies; then another one may take over. While it lives, others get
    BusyError.

    Ownership: two references (hand, mapping) until `close` or deallocation.
    Threads: one writes and one reads; another that does so at the same time gets BusyError.
    fork: the child can take a role that its parent does not have.
    """

    magic = RING
    what = "ring"

    def __init__(self, obj: Scamem) -> None:
        super().__init__(obj)
        frame = obj.seat.frame_bytes
        if obj.nbytes < 2 * frame:
            raise ScamemError(f"object {obj.index} is not a ring; it has {obj.nbytes:,} bytes")
        hold, data = obj.hold, obj.nbytes // frame - 1
        parts = ((hold, 0, 1), (hold, 1, data), (hold, 1, data))
        self._wants = False
        self._view = making.stitched(obj.seat, parts, writable=True)
        self._open = True
        self._bytes = memoryview(self._view)[frame:]
        self.words: SharedWords = SharedWords(self._view, self._view.address, HEAD_WORDS)
        self._check_head()
        self.capacity: int = data * frame
        if self.words.load(CAPACITY) != self.capacity:
            raise self._damaged()

    @classmethod
    def create(cls, seat: Seat, nbytes: int) -> RingBuffer:
        """Create a ring of at least `nbytes` bytes; see Arena.ring."""
        if nbytes <= 0:
            raise ValueError(f"asked for a ring of {nbytes:,} bytes; at least 1 is needed")
        frame = seat.frame_bytes
        data = -(-nbytes // frame) * frame
        obj = Scamem(seat, allocate(seat, frame + data, L.BY_HAND))
        head = memoryview(making.stitched(seat, ((obj.hold, 0, 1),), writable=True)).cast("Q")
        for at in range(HEAD_WORDS):
            head[at] = 0  # whatever the frame's last object left there
        head[CAPACITY] = data
        head[0] = RING
        return cls(obj)

    def __len__(self) -> int:
        """Return the number of bytes that were written and not read."""
        self._check_open()
        return self._ready()

    def _ready(self) -> int:
        ready = self.words.load(WRITTEN) - self.words.load(READ)
        if not 0 <= ready <= self.capacity:
            raise self._damaged()
        return ready

    def _damaged(self) -> ScamemError:
        return ScamemError(
            f"the header of this ring (object {self.scamem.index}) was overwritten: its words "
            "contradict each other. Create a new ring"
        )

    # --- the writer ----------------------------------------------------------------------------

    def write(self, data: Any, timeout: float | None = None) -> int:
        """Write a buffer's bytes, waiting for room if necessary; return how many.

            try:
                ring.write(record, timeout=0.1)
            except scamem.WaitTimeoutError as error:
                assert error.bytes_done == 0  # dropped as a whole: it fits into the ring

        A record that fits into the ring is written at once or not at all. A longer record is
        written in parts. So is one for which a reader waits that asked for more bytes than there
        are: it frees no room before it has them.

        Parameters
        ----------
        data : any C-contiguous buffer, of any length.
        timeout : seconds to wait for room, for each part; None: as long as the reader lives.

        Raises
        ------
        BusyError : another process, or another thread of this one, writes.
        PeerDiedError : the reader died, and there is not enough room.
        WaitTimeoutError : there was not enough room in time.
        ValueError : the timeout is negative or NaN.

        Every error, also KeyboardInterrupt, has `bytes_done`: how many of the bytes are in the
        ring. They stay there.
        """
        source = memoryview(data).cast("B") if memoryview(data).nbytes else memoryview(b"")
        self._check_open()
        self._begin()
        try:
            self._become_writer()
            words = self.words
            begin = words.load(WRITTEN)
            try:
                self._write(source, timeout)
            except BaseException as error:
                error.__dict__["bytes_done"] = words.load(WRITTEN) - begin
                raise
            return len(source)
        finally:
            self._lock.release()

    def _write(self, source: memoryview, timeout: float | None) -> None:
        """Write bytes: at once if they fit, else in parts."""
        done = 0
        while done < len(source):
            left = len(source) - done
            least = left if left <= self.capacity else 1
            into = self._room(least, Deadline(timeout), in_parts=True)[:left]
            into[:] = source[done : done + len(into)]
            self.commit(len(into))
            done += len(into)

    def reserve(self, nbytes: int | None = None, timeout: float | None = None) -> memoryview:
        """Return room for the next bytes, as one writable buffer; `commit` publishes what is in it.

        Parameters
        ----------
        nbytes : how many, at most the capacity; None: all the room there is, at least one byte.
        timeout : seconds to wait for room; None: as long as the reader lives.

        Errors: as `write`; nothing is written. Ownership: the buffer is the ring's memory; it
        belongs to the reader after `commit`.
        """
        self._check_open()
        deadline = Deadline(timeout)
        least = self._wanted(nbytes)
        self._begin()
        try:
            self._become_writer()
            return self._room(least, deadline)[:nbytes]
        finally:
            self._lock.release()

    def _become_writer(self) -> None:
        """Take the writer's role; BusyError if another process has it."""
        if self._take_role(WRITER, "writes"):
            self.words.store(ENDED, 0)

    def _room(self, least: int, deadline: Deadline, *, in_parts: bool = False) -> memoryview:
        """Wait for room for `least` bytes; return all the room there is.

        With `in_parts`, return less than `least` (at least one byte) if the reader waits for more
        bytes.
        """
        if self.capacity - self._ready() < least:
            self._wait(
                lambda: (
                    self.capacity - self._ready() >= least or (in_parts and self._reader_is_stuck())
                ),
                READ,
                READER,
                deadline,
                WRITER_WAITS,
            )
        free = self.capacity - self._ready()
        start = self.words.load(WRITTEN) % self.capacity
        return self._bytes[start : start + free]

    def _reader_is_stuck(self) -> bool:
        """Return whether a living reader wants more bytes than there are, and they would fit."""
        written, wanted = self.words.load(WRITTEN), self.words.load(READER_WANTS)
        if not written < wanted <= self.words.load(READ) + self.capacity:
            return False
        claim = self.words.load(READER)
        return claim != 0 and self._lives(claim)

    def commit(self, nbytes: int) -> None:
        """Publish the next `nbytes` bytes, in the buffer that `reserve` returned."""
        self._check_open()
        self._take_role(WRITER, "writes")
        if not 0 <= nbytes <= self.capacity - self._ready():
            raise ValueError(f"asked to commit {nbytes:,} bytes; reserve them first")
        self.words.store(WRITTEN, self.words.load(WRITTEN) + nbytes)
        self._tell(WRITTEN, READER_WAITS)

    # --- the reader ----------------------------------------------------------------------------

    def peek(self, nbytes: int | None = None, timeout: float | None = None) -> memoryview:
        """Return the next bytes, as one read-only buffer; `consume` gives them back to the writer.

        Parameters
        ----------
        nbytes : how many, at most the capacity; None: all there are, at least one.
        timeout : seconds to wait for them; None: as long as the writer lives.

        Returns
        -------
        memoryview : fewer bytes, or none, if the writer closed the ring first.

        Raises
        ------
        BusyError : another process reads.
        PeerDiedError : the writer died before it wrote enough; `peek()` returns what there is.
        WaitTimeoutError : the bytes did not come in time; none were taken.
        ValueError : the timeout is negative or NaN.

        Ownership: the buffer is the ring's memory; it belongs to the writer after `consume`.
        """
        self._check_open()
        deadline = Deadline(timeout)
        least = self._wanted(nbytes)
        self._begin()
        try:
            self._become_reader()
            if self._ready() < least:
                self._await_bytes(least, deadline)
            ready = self._ready()
            start = self.words.load(READ) % self.capacity
            taken = ready if nbytes is None else min(nbytes, ready)
            return self._bytes[start : start + taken].toreadonly()
        finally:
            self._lock.release()

    def _await_bytes(self, least: int, deadline: Deadline) -> None:
        """Wait until `least` bytes are ready, or the writer has closed the ring."""
        self._wants = True  # until bytes are consumed, so that a reader that polls gets them too
        self.words.store(READER_WANTS, self.words.load(READ) + least)
        self._tell(READ, WRITER_WAITS)  # a writer without room for its record delivers a part
        self._wait(
            lambda: self._ready() >= least or self.words.load(ENDED) != 0,
            WRITTEN,
            WRITER,
            deadline,
            READER_WAITS,
        )

    def _become_reader(self) -> None:
        """Take the reader's role; BusyError if another process has it."""
        if self._take_role(READER, "reads"):
            self.words.store(READER_WANTS, 0)

    def consume(self, nbytes: int) -> None:
        """Give the next `nbytes` bytes, which were read, back to the writer."""
        self._check_open()
        self._become_reader()
        if not 0 <= nbytes <= self._ready():
            raise ValueError(
                f"asked to consume {nbytes:,} bytes; only {self._ready():,} are ready to read"
            )
        if self._wants:
            self._wants = False
            self.words.store(READER_WANTS, 0)
        self.words.store(READ, self.words.load(READ) + nbytes)
        self._tell(READ, WRITER_WAITS)

    def read(self, nbytes: int | None = None, timeout: float | None = None) -> bytes:
        """Return a copy of the next bytes and consume them; parameters and errors as `peek`."""
        found = self.peek(nbytes, timeout)
        data = bytes(found)
        self.consume(len(data))
        return data

    # --- both ----------------------------------------------------------------------------------

    def _wanted(self, nbytes: int | None) -> int:
        if nbytes is None:
            return 1
        if not 0 <= nbytes <= self.capacity:
            raise ValueError(f"asked for {nbytes:,} bytes at once; this ring has {self.capacity:,}")
        return nbytes

    def _tell(self, event: int, waiting: int) -> None:
        """Wake a process that waits on a stored word. There is a barrier between store and look."""
        if self.words.compare_exchange(waiting, 1, 0):
            self.words.wake(event)

    def _end(self) -> None:
        if self.words.load(WRITER) == self._identity():
            self.words.store(ENDED, 1)
            self._give_role(WRITER)
            self.words.wake(WRITTEN)
        if self._give_role(READER):
            self.words.wake(READ)

    def _drop(self) -> None:
        self._bytes = memoryview(b"")
        del self.words, self._view

    def __repr__(self) -> str:
        if not self._open:
            return "<RingBuffer, closed>"
        return f"<RingBuffer of {self.capacity:,} bytes, {len(self):,} to be read>"


def ring(arena: Seated, nbytes: Size) -> RingBuffer:
    """Create a ring of at least `nbytes` bytes (a number, or text such as "64K").

    One process writes to it and another reads; see `scamem.RingBuffer`. Raises OutOfMemoryError,
    or TooScatteredError if its frames cannot be mapped twice in a row.
    """
    return RingBuffer.create(arena._seat, bytes_of(nbytes))
