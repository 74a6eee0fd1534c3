"""Scamem objects as Python sees them: references, from which views and pins are made."""

import cython
import numpy as np
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.membership.member import Hold, release
from cython.cimports.scamem.objects.pin import Pin, pin_frames

from scamem.errors import ClosedError
from scamem.looks.objects import holders
from scamem.memory import resize
from scamem.views.making import contiguous

from .spans import frames_of_runs


@cython.cclass
class Scamem:
    """Frames that need not lie side by side, as one object with one reference count.

    Made by `Arena.alloc`, by a name, a handle or a page; it is itself one reference.

    Attributes
    ----------
    arena : the arena that it belongs to.
    index, generation : which object of the arena it is, for as long as the arena is.

    Ownership: the Python object holds one reference, dropped by `close`, deallocation or death.
    Threads: any. fork: the child holds references of its own.
    """

    def __init__(self, seat: object, held: Hold) -> None:
        self.seat = seat
        self.index = held.index
        self.generation = held.generation
        self.held = held

    @property
    def arena(self) -> object:
        """The Arena that it belongs to."""
        return self.seat.arena

    @property
    def hold(self) -> Hold:
        """The reference; ClosedError after `close`."""
        if self.held is None:
            raise ClosedError(f"this reference to object {self.index} was closed")
        return self.held

    @property
    def nr(self) -> int:
        """Frames of the object."""
        return int(self.seat.member.nr(self.hold))

    @property
    def nbytes(self) -> int:
        """Bytes of the object: nr times the size of a frame."""
        return self.nr * L.FRAME_BYTES

    @property
    def refcount(self) -> int:
        """What the mail counts: areas, mappings, pins, objects in hand and loans, of everybody.

        Dead members are reaped first.
        """
        self.seat.reap()
        return sum(holder.count for holder in holders(self.seat, self.index))

    @property
    def runs(self) -> object:
        """The frames as runs: uint64, shape (runs, 2), of (first pfn, frames) in object order."""
        found = self.seat.member.runs(self.hold)
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
        return contiguous(self.seat, self.hold, L.BY_MAPPING, writable=writable, private=private)

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
        return pin_frames(self.hold if self.held is None else self.held, start, nframes, io)

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
        resize.resize(self.seat, self.hold, nbytes)

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
        if other.seat is not self.seat or other.index == self.index:
            raise ValueError(
                "asked to splice an object with itself or one of another arena; copy it instead"
            )
        resize.splice(self.seat, self.hold, held)
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
        runs = len(self.seat.member.runs(self.held))
        return f"<Scamem {self.index}: {self.nr} frames in {runs} run{'s' if runs != 1 else ''}>"
