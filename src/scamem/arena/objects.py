"""Scamem objects as Python sees them, with their mappings and pins."""

import cython
import numpy as np
from cython.cimports.scamem.arena.member import Hold, release
from cython.cimports.scamem.arena.spans import FRAME_BYTES
from cython.cimports.scamem.core.store import layout as L

from scamem.address_space.io import transfer_file, transfer_socket
from scamem.errors import ClosedError

from . import resize
from .spans import spans_of


@cython.cclass
class Pin:
    """A range of an object's frames, held for I/O.

    Attributes
    ----------
    start, nframes : the range, in frames from the object's start.

    I/O goes straight between a descriptor and the frames, at any scatter: no contiguous view is
    made and nothing is copied in Python. Each method works on `nbytes` bytes from `start` (bytes
    from the pin's start; None: up to its end), and returns how many it transferred.

    Ownership: one reference, dropped by `close`, deallocation or death of the process. A transfer
    holds one of its own, so another thread may close the pin meanwhile.
    Threads: any; transfers release the GIL. fork: the child's copy is held by a reference of its
    own.
    """

    def __init__(self) -> None:
        raise TypeError("pins are made by Scamem.pin")

    @property
    def frames(self) -> object:
        """The pinned frames: uint64, shape (nframes,), pfns in object order."""
        if self.held is None:
            raise ClosedError("this pin was closed")
        runs = np.array(self.held.member.runs(self.held), dtype=np.uint64).reshape(-1, 2)
        return frames_of_runs(runs)[self.start : self.start + self.nframes]

    @property
    def nbytes(self) -> int:
        """Bytes of the range: nframes times the size of a frame."""
        return self.nframes * FRAME_BYTES

    def spans(self, start: cython.longlong, nbytes: object) -> bytes:
        """Return a range as `struct iovec`s; IndexError if it is not inside the pin."""
        most: cython.longlong = self.nframes * FRAME_BYTES
        count: cython.longlong = most - start if nbytes is None else nbytes
        if self.held is None:
            raise ClosedError("this pin was closed")
        if start < 0 or count < 0 or start > most or count > most - start:
            raise IndexError(f"asked for bytes {start} to {start + count} of a pin of {most} bytes")
        return spans_of(self.held, self.start * FRAME_BYTES + start, count)

    def iovec(self, start: int = 0, nbytes: object = None) -> object:
        """Return where the range lies in this process: uint64, shape (spans, 2).

        Each row is an address and a length in bytes; runs that lie side by side are one. The
        array's memory is a `struct iovec[spans]`, as readv, io_uring and ctypes want it.

        Raises
        ------
        IndexError : the range is not inside the pin; names both.
        ClosedError : the pin was closed.

        Ownership: addresses are good for as long as this process holds the object.
        """
        return np.frombuffer(self.spans(start, nbytes), dtype=np.uint64).reshape(-1, 2)

    def read_from(
        self, fd: object, offset: object = None, nbytes: object = None, *, start: int = 0
    ) -> int:
        """Read from a file, pipe or device into the frames, until the range is full or it ends.

        Parameters
        ----------
        fd : a descriptor, or a file that is not buffered, or buffered with an offset.
        offset : bytes from the file's start; None: from the descriptor's position, which moves on.
        nbytes, start : the range; see Pin.

        Returns
        -------
        int : bytes read; fewer than asked only at the end of the file.

        Raises
        ------
        OSError : of the right kind; says how far it came, also in `bytes_done`. BlockingIOError
            from a descriptor that does not block. EINVAL with O_DIRECT: not whole blocks.
        IndexError, ClosedError : as `iovec`. TypeError : a buffered file without an offset.

        Signals: handlers run between the calls; what one raises ends the transfer.
        """
        held: Hold = self.another()
        done: cython.longlong = transfer_file(self.spans(start, nbytes), fd, offset, False)
        release(held)
        return done

    def write_to(
        self, fd: object, offset: object = None, nbytes: object = None, *, start: int = 0
    ) -> int:
        """Write the frames to a file, pipe or device, all of the range; see `read_from`.

        Raises
        ------
        BrokenPipeError : nobody reads the pipe any more.
        OSError, IndexError, ClosedError, TypeError : as `read_from`.
        """
        held: Hold = self.another()
        done: cython.longlong = transfer_file(self.spans(start, nbytes), fd, offset, True)
        release(held)
        return done

    def send(self, sock: object, nbytes: object = None, *, start: int = 0) -> int:
        """Send the frames to a plain socket, all of the range; returns the bytes sent.

        The socket's timeout is for the whole of it, as with `sendall`. A socket of messages
        (SOCK_DGRAM, SOCK_SEQPACKET) sends one, of at most 1,024 runs.

        Raises
        ------
        TimeoutError, BlockingIOError : `bytes_done` were sent before.
        OSError, IndexError, ClosedError : as `read_from`. TypeError : no plain socket (TLS).
        """
        held: Hold = self.another()
        done: cython.longlong = transfer_socket(self.spans(start, nbytes), sock, True)
        release(held)
        return done

    def recv_into(self, sock: object, nbytes: object = None, *, start: int = 0) -> int:
        """Receive from a plain socket into the frames, until the range is full; see `send`.

        Returns
        -------
        int : bytes received; fewer than asked only when the other side sends no more. A socket of
            messages receives one; OSError (EMSGSIZE) if it was longer than the range.
        """
        held: Hold = self.another()
        done: cython.longlong = transfer_socket(self.spans(start, nbytes), sock, False)
        release(held)
        return done

    def another(self) -> Hold:
        """Return one more reference to the object; ClosedError after `close`."""
        if self.held is None:
            raise ClosedError("this pin was closed")
        return self.held.member.hold_again(self.held, L.BY_PIN)

    def close(self) -> None:
        """Unpin. Again: nothing."""
        held: Hold = self.held
        self.held = None
        if held is not None:
            release(held)

    def __enter__(self) -> Pin:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()


@cython.cclass
class Scamem:
    """Frames that need not lie side by side, as one object with one reference count.

    Made by `Arena.alloc`, by a name, a handle or a page; it is itself one reference.

    Attributes
    ----------
    arena : the arena it belongs to.
    index, generation : which object of the arena it is, for as long as the arena is.

    Ownership: the Python object holds one reference, dropped by `close`, deallocation or death.
    Threads: any. fork: the child holds references of its own.
    """

    def __init__(self, arena: object, held: Hold) -> None:
        self.arena = arena
        self.index = held.index
        self.generation = held.generation
        self.held = held

    @property
    def hold(self) -> Hold:
        """The reference; ClosedError after `close`."""
        if self.held is None:
            raise ClosedError(f"this reference to object {self.index} was closed")
        return self.held

    @property
    def nr(self) -> int:
        """Frames of the object."""
        return int(self.arena.member.nr(self.hold))

    @property
    def nbytes(self) -> int:
        """Bytes of the object: nr times the size of a frame."""
        return self.nr * self.arena.frame_bytes

    @property
    def refcount(self) -> int:
        """What the mail counts: areas, mappings, pins, objects in hand and loans, of everybody."""
        return sum(holder.count for holder in self.arena.holders(self))

    @property
    def runs(self) -> object:
        """The frames as runs: uint64, shape (runs, 2), of (first pfn, frames) in object order."""
        found = self.arena.member.runs(self.hold)
        return np.array(found, dtype=np.uint64).reshape(-1, 2)

    @property
    def pages(self) -> object:
        """The frames one by one: uint64, shape (nr,), pfns in object order."""
        return frames_of_runs(self.runs)

    def map(self, *, writable: bool = True, private: bool = False) -> object:
        """Map the object as one contiguous view into this process.

        Parameters
        ----------
        writable : False for a view that cannot be written.
        private : copy-on-write: what is written to the view stays in this process. A page (4 KiB)
            that was not written here shows what others write, so it is no snapshot (see
            `Array.snapshot`). Each call makes another view. Memory of its own is taken page by
            page, as it is written; of huge pages all of it is set aside at once, and a forked child
            that writes when the pool is empty is ended by SIGBUS.

        Returns
        -------
        View : a buffer (memoryview, np.frombuffer) of nbytes bytes.

        Raises
        ------
        TooScatteredError : the object has more runs than this process may still map.
        OutOfMemoryError : no address space is left; for a private view of huge pages also: the pool
            has not as many free.
        BlindError : a private view is asked for, and the frame file cannot be reached any more.

        Ownership: the view holds one reference (a mapping), until the last buffer taken from it is
        gone. fork: the child's copy of the view holds one of its own; of a private view it has what
        was written before the fork, and neither sees what the other writes afterwards.
        Cost: nothing for one run that is not private; one mmap a run otherwise.
        """
        if private:
            writable = True
        return self.arena.make_view(self.hold, L.BY_MAPPING, writable=writable, private=private)

    def pin(self, start: int = 0, nframes: object = None, *, io: bool = False) -> Pin:
        """Hold a range of frames for I/O.

        Parameters
        ----------
        start : first frame, in frames from the object's start.
        nframes : frames to hold; None: up to the end.
        io : the kernel or a device will touch the frames, perhaps beyond this process's death.

        Raises
        ------
        IndexError : the range is not inside the object; names both.
        ClosedError : this Scamem was closed.

        Ownership: the Pin holds one reference; its close() or death drops it. It holds frames of
        the arena; it does not lock pages in RAM.
        Cost: no system call, no page touched, at any size.
        """
        held: Hold = self.hold if self.held is None else self.held
        nr: cython.longlong = held.member.nr(held)
        first: cython.longlong = start
        count: cython.longlong = nr - first if nframes is None else nframes
        if first < 0 or count < 0 or count > nr or first > nr - count:
            raise IndexError(
                f"asked to pin frames {start} to {start + count} of an object of {nr} frames"
            )
        made: Pin = Pin.__new__(Pin)
        made.held = held.member.hold_again(held, L.BY_IO if io else L.BY_PIN)
        made.start = first
        made.nframes = count
        return made

    def resize(self, nbytes: int) -> None:
        """Make the object larger or smaller in place; no byte is copied or moved.

        Parameters
        ----------
        nbytes : the new size, rounded up to whole frames; at least one frame is kept.

        New frames are added at the end and hold whatever their last object left there. Views,
        arrays and pins that exist, in any process, go on as they are; `map` and `pin` see all of
        it from then on. Resizing by several members at once is settled one after the other.

        Raises
        ------
        OutOfMemoryError : there are no frames to grow by; nothing is changed.
        ObjectBusyError : asked to shrink, and somebody else holds the object, or this process has
            views or pins of it: frames that somebody may look at are not taken away.
        ClosedError : this Scamem was closed.

        Cost: some microseconds, and 1 to 2 ns a frame that is added or given back.
        """
        resize.resize(self.arena, self.hold, nbytes)

    def splice(self, other: Scamem) -> None:
        """Move all frames of another object to the end of this one; no byte is copied.

        Parameters
        ----------
        other : an object of the same arena and zone, which nothing but this Scamem holds: no other
            process, name, view, pin, array or loan. It is closed, and its object is gone.

        Views and pins of this object go on as they are, in any process; what is mapped from then
        on shows the new frames too.

        Raises
        ------
        ObjectBusyError : something else holds the other object; nothing is changed.
        ValueError : it is of another arena, or this very object.
        ClosedError : one of the two was closed.

        Cost: some microseconds, and 1 ns a frame that moves.
        """
        held: Hold = other.hold
        if other.arena is not self.arena or other.index == self.index:
            raise ValueError(
                "asked to splice an object with itself or one of another arena; copy it instead"
            )
        resize.splice(self.arena, self.hold, held)
        other.held = None

    def close(self) -> None:
        """Drop this reference now. Views, pins and arrays made from it go on. Again: nothing."""
        held: Hold = self.held
        self.held = None
        if held is not None:
            release(held)

    def __enter__(self) -> Scamem:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.held is None:
            return f"<Scamem {self.index}, closed>"
        runs = len(self.arena.member.runs(self.held))
        return f"<Scamem {self.index}: {self.nr} frames in {runs} run{'s' if runs != 1 else ''}>"


def frames_of_runs(runs: object) -> object:
    """Return the pfns of runs, in order: uint64, one a frame."""
    if len(runs) == 0:
        return np.empty(0, dtype=np.uint64)
    counts = runs[:, 1].astype(np.intp)
    starts = np.repeat(runs[:, 0], counts)
    ends = np.cumsum(counts)
    within = np.arange(counts.sum(), dtype=np.uint64) - np.repeat(ends - counts, counts).astype(
        np.uint64
    )
    return starts + within
