"""Views that grow in place, at a fixed address, as their object grows."""

from __future__ import annotations

from scamem.address_space import map as mapping
from scamem.core.store import layout as L
from scamem.errors import ClosedError
from scamem.membership.member import Hold
from scamem.membership.seat import Seat

from .making import runs_within
from .view import cut_view, grow_view, make_growing_view


class Growing:
    """A view of an object that keeps its address while it grows.

    Attributes
    ----------
    view : shows the first frames of the object; buffers over it stay valid as it grows.
    frames : how many frames are mapped.

    Ownership: one reference (a mapping), and all of the reserved address space.
    Threads: one at a time. fork: the child has its own copy, as of the fork.
    """

    def __init__(self, seat: Seat, hold: Hold, reserved: int) -> None:
        self._seat = seat
        self._cut = False
        self.frames = 0
        self.reserved = -(-reserved // seat.frame_bytes) * seat.frame_bytes
        held = hold.another(L.BY_MAPPING)
        address = mapping.reserve(self.reserved)
        mapping.budget.made(address, 1)
        try:
            seat.member.add_range(address, self.reserved)
        except BaseException:
            mapping.vunmap(address, self.reserved)
            raise
        mapping.budget.hand_over(address)
        self.view = make_growing_view(held, address, self.reserved)

    def grow(self, frames: int) -> None:
        """Map the first `frames` frames of the object; do nothing if they are mapped.

        Raises
        ------
        ClosedError : an earlier mapping failed half way, so the addresses behind it are lost.
        IndexError : the object has fewer frames.
        ValueError : more than the reserved address space.
        TooScatteredError, OutOfMemoryError : as Scamem.map; what was mapped before stays.
        """
        size = self._seat.frame_bytes
        if frames <= self.frames:
            return
        if self._cut:
            raise ClosedError(
                "a mapping of this object failed half way, and its addresses may be in other use "
                "now; open the object again"
            )
        if frames * size > self.reserved:
            raise ValueError(f"{frames} frames; {self.reserved:,} bytes of addresses are reserved")
        hold = self.view.hold
        runs = tuple(runs_within(hold, self.frames, frames - self.frames))
        address = self.view.address + self.frames * size
        try:
            made = mapping.extend(self._seat.direct, runs, size, address)
        except OSError:
            self._cut = True
            cut_view(self.view)
            raise
        grow_view(self.view, frames * size, made)
        self.frames = frames
