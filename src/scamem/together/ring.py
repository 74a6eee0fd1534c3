"""A ring of bytes between two processes, mapped twice in a row so that nothing wraps around.

State. Frame 0 of the object has the words below; the other frames are the ring. WRITTEN and READ
count bytes since the ring was made and never wrap in practice (64 bits); the byte of number n lies
at n modulo the capacity. Only the writer stores WRITTEN, only the reader READ.

Steps. The writer fills bytes between WRITTEN and READ + capacity, then stores WRITTEN (release);
the reader loads WRITTEN (acquire), looks at what is below it, then stores READ, which gives those
bytes back. Whoever must wait says so in a word of its own, looks again, and waits on the other's.

`write` waits until all of its bytes fit and stores WRITTEN once, so a record is in the ring or it
is not. Two records are written in parts. One is longer than the ring. The other meets a reader who
asked for more bytes than there are: it gives no room before it has them, and the writer would get
no room without giving them. Such a reader says in READER_WANTS how far WRITTEN has to come. It is
believed only while the reader lives and what it wants fits into the ring.

Why safe: a writer that dies before it stores WRITTEN has written nothing; a reader that dies before
it stores READ has read nothing. The next one to take the role goes on from these words. A `write`
that fails says how many of its bytes are in the ring by what WRITTEN has become, which is right
wherever a signal met it, since nobody else stores that word. A wake for READER_WANTS that comes
between a look and a nap costs one nap: no event word changes with it.

Tried and failed: to write as many bytes as there is room for. After a timeout the reader took the
rest of the record for the beginning of the next.
"""

from __future__ import annotations

from typing import Any

from scamem.core.store import layout as L
from scamem.errors import ScamemError
from scamem.membership.seat import Seat
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
    """A ring of bytes that one process writes and another reads, without a copy between them.

    The ring's frames are mapped twice, one behind the other, so every stretch of it that is ready
    is one contiguous buffer, wherever it begins. Made by `arena.ring(nbytes)`; goes to another
    process by any pickling (always by handle), or as `RingBuffer(obj)` of its `scamem`.

    Parameters
    ----------
    obj : the ring's Scamem, for example from a name. ScamemError if it is none.

    Attributes
    ----------
    scamem : the object, to be published; `capacity` : bytes of the ring.

    Who first writes is its writer, who first reads its reader, until `close`, or death: then
    another process may take over. Two that live: BusyError for the second.

    Ownership: two references (hand, mapping) until `close` or deallocation.
    Threads: one writes, one reads; a second one that does so at the same time gets BusyError.
    fork: the child may take a role that its parent does not have.
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
        self.words = SharedWords(self._view, self._view.address, HEAD_WORDS)
        self._check_head()
        self.capacity = data * frame
        if self.words.load(CAPACITY) != self.capacity:
            raise self._damaged()

    @classmethod
    def create(cls, seat: Seat, nbytes: int) -> RingBuffer:
        """Make a ring of at least so many bytes; see Arena.ring."""
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
        """Bytes that were written and not read."""
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
        """Write a buffer's bytes, waiting for room as it must; return how many.

            try:
                ring.write(record, timeout=0.1)
            except scamem.WaitTimeoutError as error:
                assert error.bytes_done == 0  # dropped as a whole: it fits into the ring

        What fits into the ring is written at once or not at all. What is longer goes in parts, and
        so does what a reader waits for that asked for more bytes than there are: it can free no
        room before it has them.

        Parameters
        ----------
        data : any C-contiguous buffer, of any length.
        timeout : seconds to wait for room, each time; None: as long as the reader lives.

        Raises
        ------
        BusyError : another process, or another thread of this one, writes.
        PeerDiedError : the reader died, and there is not room enough.
        WaitTimeoutError : there was not room enough in time.
        ValueError : the timeout is negative or NaN.

        `bytes_done` of any error, KeyboardInterrupt among them, says how many of the bytes are in
        the ring; they stay there.
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
        """Write bytes: at once where they fit, else in parts."""
        done = 0
        while done < len(source):
            left = len(source) - done
            least = left if left <= self.capacity else 1
            into = self._room(least, Deadline(timeout), in_parts=True)[:left]
            into[:] = source[done : done + len(into)]
            self.commit(len(into))
            done += len(into)

    def reserve(self, nbytes: int | None = None, timeout: float | None = None) -> memoryview:
        """Return the next bytes to be written, as one writable buffer; `commit` publishes them.

        Parameters
        ----------
        nbytes : how many, at most the capacity; None: as many as there is room for, at least one.
        timeout : seconds to wait for room; None: as long as the reader lives.

        Errors as `write`; nothing is written. Ownership: the buffer is the ring; it is the reader's
        after `commit`.
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
        """Have the writer's role; BusyError: another process has it."""
        if self._take_role(WRITER, "writes"):
            self.words.store(ENDED, 0)

    def _room(self, least: int, deadline: Deadline, *, in_parts: bool = False) -> memoryview:
        """Wait for room for so many bytes; return all the room there is.

        With `in_parts` less than `least`, but not nothing, where the reader waits for more bytes.
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
        """Tell whether a living reader asked for more bytes than there are, and they would fit."""
        written, wanted = self.words.load(WRITTEN), self.words.load(READER_WANTS)
        if not written < wanted <= self.words.load(READ) + self.capacity:
            return False
        claim = self.words.load(READER)
        return claim != 0 and self._lives(claim)

    def commit(self, nbytes: int) -> None:
        """Publish the next `nbytes` bytes, which `reserve` gave and were filled since."""
        self._check_open()
        self._take_role(WRITER, "writes")
        if not 0 <= nbytes <= self.capacity - self._ready():
            raise ValueError(f"asked to commit {nbytes:,} bytes; reserve them first")
        self.words.store(WRITTEN, self.words.load(WRITTEN) + nbytes)
        self._tell(WRITTEN, READER_WAITS)

    # --- the reader ----------------------------------------------------------------------------

    def peek(self, nbytes: int | None = None, timeout: float | None = None) -> memoryview:
        """Return the next bytes to be read, as one read-only buffer; `consume` gives them back.

        Parameters
        ----------
        nbytes : how many, at most the capacity; None: all there are, at least one.
        timeout : seconds to wait for them; None: as long as the writer lives.

        Returns
        -------
        memoryview : fewer bytes, or none, where the writer closed the ring before.

        Raises
        ------
        BusyError : another process reads.
        PeerDiedError : the writer died before it wrote so many; `peek()` gives what there is.
        WaitTimeoutError : nothing was taken.
        ValueError : the timeout is negative or NaN.

        Ownership: the buffer is the ring; it is the writer's after `consume`.
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
        """Wait until so many bytes are ready, or the writer has closed the ring."""
        self._wants = True  # until bytes are consumed: a reader that polls is as stuck as one here
        self.words.store(READER_WANTS, self.words.load(READ) + least)
        self._tell(READ, WRITER_WAITS)  # who has no room for all of a record gives a part
        self._wait(
            lambda: self._ready() >= least or self.words.load(ENDED) != 0,
            WRITTEN,
            WRITER,
            deadline,
            READER_WAITS,
        )

    def _become_reader(self) -> None:
        """Have the reader's role; BusyError: another process has it."""
        if self._take_role(READER, "reads"):
            self.words.store(READER_WANTS, 0)

    def consume(self, nbytes: int) -> None:
        """Give the next `nbytes` bytes back to the writer: they were read."""
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
        """Return a copy of the next bytes and give them back; parameters and errors as `peek`."""
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
        """Wake who waits on a word that was stored; a barrier lies between store and look."""
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
