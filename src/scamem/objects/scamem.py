"""Scamem objects as Python sees them: references, from which views and pins are made."""

import cython
import numpy as np
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.membership.member import Hold, release
from cython.cimports.scamem.objects.pin import Pin, pin_frames

from scamem.errors import ClosedError
from scamem.later import Later
from scamem.views.making import contiguous

from .spans import frames_of_runs

looks = Later("scamem.looks.objects")
resize = Later("scamem.memory.resize")


@cython.cclass
class Scamem:
    """An object: page frames that need not be adjacent, with one reference count.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> obj = arena.alloc("1M")
    >>> obj.nr, obj.refcount
    (256, 1)

    `Arena.alloc` returns one, and so does a lookup by name, handle or page. Each Scamem is a
    reference.

    Attributes
    ----------
    arena : the arena that it belongs to.
    index, generation : identify the object, uniquely for the arena's whole life.

    Ownership: one reference, dropped by `close`, deallocation, or the process's death.
    Threads: any. fork: the child holds its own references.
    """

    def __init__(self, seat: object, held: Hold) -> None:
        self.seat = seat
        self.index = held.index
        self.generation = held.generation
        self.held = held

    @property
    def arena(self) -> object:
        """The Arena that the object belongs to."""
        return self.seat.arena

    @property
    def hold(self) -> Hold:
        """The reference; ClosedError after `close`."""
        if self.held is None:
            raise ClosedError(f"this reference to object {self.index} was closed")
        return self.held

    @property
    def nr(self) -> int:
        """Number of frames in the object."""
        return int(self.seat.member.nr(self.hold))

    @property
    def nbytes(self) -> int:
        """Bytes in the object: nr times the size of a frame."""
        return self.nr * L.FRAME_BYTES

    @property
    def refcount(self) -> int:
        """References held by all processes: areas, mappings, pins, objects in hand and loans.

        The mail counts the same. Dead members are reaped first.
        """
        self.seat.reap()
        return sum(holder.count for holder in looks.holders(self.seat, self.index))

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
        """Map the object into this process as one contiguous view.

        >>> arena = scamem.Arena.create(capacity="64M")
        >>> view = arena.alloc("4K").map()
        >>> x = np.frombuffer(view, np.uint8)
        >>> x.size
        4096

        Parameters
        ----------
        writable : False for a read-only view.
        private : copy-on-write: what is written to the view stays in this process. A page (4 KiB)
            that this process has not written still shows what others write, so it is no snapshot
            (see `Array.snapshot`). Each call makes a new view. Private memory is taken page by
            page, on the first write. For huge pages all of it is reserved at once, and a forked
            child that writes while the pool is empty is killed by SIGBUS.

        Returns
        -------
        View : a buffer of nbytes bytes (for memoryview or np.frombuffer).

        Raises
        ------
        TooScatteredError : the object has more runs than this process may still map.
        OutOfMemoryError : no address space is left; for a private view of huge pages, also if the
            pool has too few free pages.
        BlindError : for a private view: the frame file cannot be reached any more.

        Ownership: the view holds one reference (a mapping), until the last buffer over it is
        deallocated.
        fork: the child's copy holds its own. A private view in the child has what was written
        before the fork; parent and child do not see each other's later writes.
        Cost: nothing for a single run that is not private; otherwise one mmap per run.
        """
        if private:
            writable = True
        elif self.seat.readonly:
            writable = False
        return contiguous(self.seat, self.hold, L.BY_MAPPING, writable=writable, private=private)

    def pin(self, start: int = 0, nframes: object = None, *, io: bool = False) -> Pin:
        """Hold a range of frames for I/O.

        >>> arena = scamem.Arena.create(capacity="64M")
        >>> with arena.alloc("8K").pin(0, 1) as pin:
        ...     pin.nbytes
        4096

        Parameters
        ----------
        start : first frame, in frames from the object's start.
        nframes : frames to hold; None: up to the end.
        io : the kernel or a device may access the frames even after this process has died.

        Raises
        ------
        IndexError : the range is not inside the object; names both.
        ClosedError : this Scamem was closed.

        Ownership: the Pin holds one reference; its `close` or the process's death drops it. It
        keeps the frames allocated; it does not lock pages in RAM.
        Cost: no system call, and no page is touched, at any size.
        """
        return pin_frames(self.hold if self.held is None else self.held, start, nframes, io)

    def resize(self, nbytes: int) -> None:
        """Grow or shrink the object in place; no byte is copied or moved.

        >>> arena = scamem.Arena.create(capacity="64M")
        >>> obj = arena.alloc("4K")
        >>> obj.resize(10_000)
        >>> obj.nr
        3

        Parameters
        ----------
        nbytes : the new size, rounded up to whole frames; at least one frame is kept.

        New frames are added at the end, and hold whatever their last owner left there. Existing
        views, arrays and pins, in any process, stay as they are; later calls of `map` and `pin` see
        the new size. If several members resize at once, one follows the other.

        Raises
        ------
        OutOfMemoryError : there are no frames to grow by; nothing was changed.
        ObjectBusyError : cannot shrink: another process holds the object, or this process has views
            or pins of it. Frames in use are never taken away.
        ClosedError : this Scamem was closed.

        Cost: some microseconds, and 1 to 2 ns per frame added or freed.
        """
        resize.resize(self.seat, self.hold, nbytes)

    def splice(self, other: Scamem) -> None:
        """Move all frames of another object to the end of this one; no byte is copied.

        >>> arena = scamem.Arena.create(capacity="64M")
        >>> obj = arena.alloc("8K")
        >>> obj.splice(arena.alloc("4K"))
        >>> obj.nr
        3

        Parameters
        ----------
        other : an object of the same arena and zone. Only this Scamem may hold it: no other
            process, name, view, pin, array or loan. It is closed, and its object ceases to exist.

        Existing views and pins of this object, in any process, stay as they are; later ones include
        the new frames.

        Raises
        ------
        ObjectBusyError : something else holds the other object; nothing was changed.
        ValueError : it belongs to another arena, or is this very object.
        ClosedError : one of the two was closed.

        Cost: some microseconds, and 1 ns per frame moved.
        """
        held: Hold = other.hold
        if other.seat is not self.seat or other.index == self.index:
            raise ValueError(
                "asked to splice an object with itself or one of another arena; copy it instead"
            )
        resize.splice(self.seat, self.hold, held)
        other.held = None

    def close(self) -> None:
        """Drop this reference. A second call does nothing.

        Views, pins and arrays made from it stay valid.
        """
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
