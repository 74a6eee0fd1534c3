"""Scamem objects as Python sees them, with their mappings and pins."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scamem.core.store import layout as L
from scamem.errors import ClosedError

from .member import Hold, release

if TYPE_CHECKING:
    from .arena import ArenaBase
    from .view import View


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

    __slots__ = ("__weakref__", "_hold", "arena", "generation", "index")

    def __init__(self, arena: ArenaBase, hold: Hold) -> None:
        self.arena = arena
        self.index: int = hold.index
        self.generation: int = hold.generation
        self._hold: Hold | None = hold

    @property
    def hold(self) -> Hold:
        """The reference; ClosedError after `close`."""
        if self._hold is None:
            raise ClosedError(f"this reference to object {self.index} was closed")
        return self._hold

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
    def runs(self) -> NDArray[np.uint64]:
        """The frames as runs: uint64, shape (runs, 2), of (first pfn, frames) in object order."""
        found = self.arena.member.runs(self.hold)
        return np.array(found, dtype=np.uint64).reshape(-1, 2)

    @property
    def pages(self) -> NDArray[np.uint64]:
        """The frames one by one: uint64, shape (nr,), pfns in object order."""
        return frames_of_runs(self.runs)

    def map(self, *, writable: bool = True) -> View:
        """Map the object as one contiguous view into this process.

        Parameters
        ----------
        writable : False for a view that cannot be written.

        Returns
        -------
        View : a buffer (memoryview, np.frombuffer) of nbytes bytes.

        Raises
        ------
        TooScatteredError : the object has more runs than this process may still map.
        OutOfMemoryError : no address space is left.

        Ownership: the view holds one reference (a mapping), until the last buffer taken from it is
        gone. fork: the child's copy of the view holds one of its own.
        Cost: nothing for one run; one mmap a run otherwise.
        """
        return self.arena.make_view(self.hold, L.BY_MAPPING, writable=writable)

    def pin(self, start: int = 0, nframes: int | None = None, *, io: bool = False) -> Pin:
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
        nr = self.nr
        count = nr - start if nframes is None else nframes
        if start < 0 or count < 0 or start + count > nr:
            raise IndexError(
                f"asked to pin frames {start} to {start + count} of an object of {nr} frames"
            )
        return Pin(self.arena, self.hold.another(L.BY_IO if io else L.BY_PIN), start, count)

    def close(self) -> None:
        """Drop this reference now. Views, pins and arrays made from it go on. Again: nothing."""
        held, self._hold = self._hold, None
        if held is not None:
            release(held)

    def __enter__(self) -> Scamem:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._hold is None:
            return f"<Scamem {self.index}, closed>"
        runs = len(self.arena.member.runs(self._hold))
        return f"<Scamem {self.index}: {self.nr} frames in {runs} run{'s' if runs != 1 else ''}>"


class Pin:
    """A range of an object's frames, held for I/O.

    Ownership: one reference, dropped by `close`, deallocation or death of the process.
    """

    __slots__ = ("_hold", "arena", "nframes", "start")

    def __init__(self, arena: ArenaBase, hold: Hold, start: int, nframes: int) -> None:
        self.arena = arena
        self.start = start
        self.nframes = nframes
        self._hold: Hold | None = hold

    @property
    def frames(self) -> NDArray[np.uint64]:
        """The pinned frames: uint64, shape (nframes,), pfns in object order."""
        if self._hold is None:
            raise ClosedError("this pin was closed")
        runs = np.array(self.arena.member.runs(self._hold), dtype=np.uint64).reshape(-1, 2)
        return frames_of_runs(runs)[self.start : self.start + self.nframes]

    def close(self) -> None:
        """Unpin. Again: nothing."""
        held, self._hold = self._hold, None
        if held is not None:
            release(held)

    def __enter__(self) -> Pin:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def frames_of_runs(runs: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the pfns of runs, in order: uint64, one a frame."""
    if len(runs) == 0:
        return np.empty(0, dtype=np.uint64)
    counts = runs[:, 1].astype(np.intp)
    starts = np.repeat(runs[:, 0], counts)
    ends = np.cumsum(counts)
    within = np.arange(ends[-1], dtype=np.uint64) - np.repeat(ends - counts, counts).astype(
        np.uint64
    )
    return starts + within
