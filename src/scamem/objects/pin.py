"""Pins: a range of an object's frames, held for I/O."""

import cython
import numpy as np
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.membership.member import Hold, release

from scamem.address_space.io import transfer_file, transfer_socket
from scamem.backing.text import counted
from scamem.errors import ClosedError

from .spans import frames_of_runs, spans_of


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
        return self.nframes * L.FRAME_BYTES

    def spans(self, start: cython.longlong, nbytes: object) -> bytes:
        """Return a range as `struct iovec`s; IndexError if it is not inside the pin."""
        most: cython.longlong = self.nframes * L.FRAME_BYTES
        count: cython.longlong = most - start if nbytes is None else nbytes
        if self.held is None:
            raise ClosedError("this pin was closed")
        if start < 0 or count < 0 or start > most or count > most - start:
            raise IndexError(f"asked for bytes {start} to {start + count} of a pin of {most} bytes")
        return spans_of(self.held, self.start * L.FRAME_BYTES + start, count)

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


def pin_frames(held: Hold, start: cython.longlong, nframes: object, io: cython.bint) -> Pin:
    """Hold a range of a held object's frames; see Scamem.pin."""
    nr: cython.longlong = held.member.nr(held)
    count: cython.longlong = nr - start if nframes is None else nframes
    if start < 0 or count < 0 or count > nr or start > nr - count:
        raise IndexError(
            f"asked to pin frames {start} to {start + count} of an object of {counted(nr, 'frame')}"
        )
    made: Pin = Pin.__new__(Pin)
    made.held = held.member.hold_again(held, L.BY_IO if io else L.BY_PIN)
    made.start = start
    made.nframes = count
    return made
