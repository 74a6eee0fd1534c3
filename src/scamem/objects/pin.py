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
    """A range of an object's frames, held for I/O. `Scamem.pin` makes one.

    Attributes
    ----------
    start, nframes : the range, in frames from the object's start.

    Data moves directly between a descriptor and the frames, however scattered they are: there is no
    contiguous view, and no copy in Python. Each transfer method works on `nbytes` bytes (None: all)
    from byte `start` of the pin, and returns how many bytes it transferred.

    Ownership: one reference, dropped by `close`, deallocation, or the process's death. A transfer
    holds its own, so another thread may close the pin meanwhile.
    Threads: any; transfers release the GIL. fork: the child's copy holds its own reference.
    """

    def __init__(self) -> None:
        raise TypeError("pins are made by Scamem.pin")

    def __repr__(self) -> str:
        if self.held is None:
            return "<Pin, closed>"
        first, count = self.start, counted(self.nframes, "frame")
        return f"<Pin of {count} from frame {first:,} of object {self.held.index}>"

    @property
    def frames(self) -> object:
        """The pinned frames: uint64, shape (nframes,), pfns in object order."""
        if self.held is None:
            raise ClosedError("this pin was closed")
        runs = np.array(self.held.member.runs(self.held), dtype=np.uint64).reshape(-1, 2)
        return frames_of_runs(runs)[self.start : self.start + self.nframes]

    @property
    def nbytes(self) -> int:
        """Bytes in the range: nframes times the size of a frame."""
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

        Each row is an address and a length in bytes; adjacent runs are merged. The array's memory
        is a `struct iovec[spans]`, as readv, io_uring and ctypes expect it.

        Raises
        ------
        IndexError : the range is not inside the pin; names both.
        ClosedError : the pin was closed.

        Ownership: the addresses are valid as long as this process holds the object.
        """
        return np.frombuffer(self.spans(start, nbytes), dtype=np.uint64).reshape(-1, 2)

    def read_from(
        self, fd: object, offset: object = None, nbytes: object = None, *, start: int = 0
    ) -> int:
        """Read from a file, pipe or device into the frames, until the range is full or input ends.

        Parameters
        ----------
        fd : a descriptor, or an unbuffered file; a buffered file only with an offset.
        offset : bytes from the file's start; None: read from the descriptor's position, and
            advance it.
        nbytes, start : the range; see Pin.

        Returns
        -------
        int : bytes read; fewer than asked for only at the end of the file.

        Raises
        ------
        OSError : the subclass for the error; `bytes_done` says how much was read before.
            BlockingIOError for a non-blocking descriptor. EINVAL with O_DIRECT: not whole blocks.
        IndexError, ClosedError : as `iovec`. TypeError : a buffered file without an offset.

        Signals: handlers run between system calls; an exception in one ends the transfer.
        """
        held: Hold = self.another()
        done: cython.longlong = transfer_file(self.spans(start, nbytes), fd, offset, False)
        release(held)
        return done

    def write_to(
        self, fd: object, offset: object = None, nbytes: object = None, *, start: int = 0
    ) -> int:
        """Write the whole range to a file, pipe or device; see `read_from`.

        Raises
        ------
        BrokenPipeError : the pipe has no reader any more.
        OSError, IndexError, ClosedError, TypeError : as `read_from`.
        """
        held: Hold = self.another()
        done: cython.longlong = transfer_file(self.spans(start, nbytes), fd, offset, True)
        release(held)
        return done

    def send(self, sock: object, nbytes: object = None, *, start: int = 0) -> int:
        """Send the whole range to a plain socket; return the bytes sent.

        The socket's timeout covers the whole transfer, as in `sendall`. A message socket
        (SOCK_DGRAM, SOCK_SEQPACKET) sends one message, of at most 1,024 runs.

        Raises
        ------
        TimeoutError, BlockingIOError : `bytes_done` says how much was sent before.
        OSError, IndexError, ClosedError : as `read_from`. TypeError : not a plain socket (TLS).
        """
        held: Hold = self.another()
        done: cython.longlong = transfer_socket(self.spans(start, nbytes), sock, True)
        release(held)
        return done

    def recv_into(self, sock: object, nbytes: object = None, *, start: int = 0) -> int:
        """Receive from a plain socket into the frames, until the range is full; see `send`.

        Returns
        -------
        int : bytes received; fewer than asked for only if the peer sends no more. A message socket
            receives one message; OSError (EMSGSIZE) if that was longer than the range.
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
        """Release the pin. A second call does nothing."""
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
