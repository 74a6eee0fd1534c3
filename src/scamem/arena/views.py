"""Views that show more than one object from its first frame to its last, shared: private ones, ones
stitched from parts of several objects, and ones that grow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from scamem.address_space import map as mapping
from scamem.core.store import layout as L
from scamem.errors import ClosedError

from .member import Hold
from .view import View, cut_view, grow_view, make_growing_view, make_view

if TYPE_CHECKING:
    from .arena import ArenaBase
    from .attach import Attachment
    from .view import Part


def private(made: Attachment, held: Hold) -> View:
    """Return a copy-on-write view of a held object. Ownership: it takes the reference over.

    Raises
    ------
    BlindError : the frame file cannot be reached.
    TooScatteredError, OutOfMemoryError : as Scamem.map.
    """
    size = made.geometry.frame_bytes
    runs = mapping.merged(made.member.runs(held))
    nbytes = sum(count for _, count in runs) * size
    address = mapping.vmap_private(made.direct, runs, size)
    _note(made, address, nbytes)
    return make_view(held, address, nbytes, True, len(runs), private=True)


def stitched(arena: ArenaBase, parts: Iterable[Part], *, writable: bool) -> View:
    """Return one view of stretches of objects, one behind the other; a frame may come twice.

    Parameters
    ----------
    parts : (reference, first frame, frames) of each stretch, frames counted from the object's
        start.

    Raises
    ------
    IndexError : a stretch is not inside its object.
    TooScatteredError, OutOfMemoryError : as Scamem.map.

    Ownership: the view holds one more reference (a mapping) on each object.
    Cost: one mmap a run.
    """
    made, size = arena._made, arena.frame_bytes
    kept = tuple((hold.another(L.BY_MAPPING), start, count) for hold, start, count in parts)
    runs = mapping.merged(run for part in kept for run in runs_within(*part))
    nbytes = sum(count for _, count in runs) * size
    if not writable:
        arena._read_only_address()
    address = mapping.vmap(made.direct, runs, size, writable)
    _note(made, address, nbytes)
    return make_view(kept[0][0], address, nbytes, writable, len(runs), parts=kept)


def _note(made: Attachment, address: int, nbytes: int) -> None:
    """Let fork know of a mapping that is about to be a view's."""
    try:
        made.member.add_range(address, nbytes)
    except BaseException:
        mapping.vunmap(address, nbytes)
        raise
    mapping.budget.hand_over(address)


def runs_within(hold: Hold, start: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of a stretch of a held object; IndexError if it is not inside."""
    nr = hold.member.nr(hold)
    if not 0 <= start <= start + count <= nr:
        raise IndexError(f"asked for frames {start} to {start + count} of an object of {nr} frames")
    for first, frames in hold.member.runs(hold):
        skipped = min(start, frames)
        taken = min(frames - skipped, count)
        if taken:
            yield first + skipped, taken
        start -= skipped
        count -= taken


class Growing:
    """A view of an object at one address for as long as it grows there.

    Attributes
    ----------
    view : shows the first frames of the object; what looks at it stays valid as it grows.
    frames : how many of them are mapped.

    Ownership: one reference (a mapping), and as much address space as was reserved.
    Threads: one at a time. fork: the child has its own, as of then.
    """

    def __init__(self, arena: ArenaBase, hold: Hold, reserved: int) -> None:
        self._arena = arena
        self._cut = False
        self.frames = 0
        self.reserved = -(-reserved // arena.frame_bytes) * arena.frame_bytes
        held = hold.another(L.BY_MAPPING)
        address = mapping.reserve(self.reserved)
        mapping.budget.made(address, 1)
        try:
            arena.member.add_range(address, self.reserved)
        except BaseException:
            mapping.vunmap(address, self.reserved)
            raise
        mapping.budget.hand_over(address)
        self.view = make_growing_view(held, address, self.reserved)

    def grow(self, frames: int) -> None:
        """Map the object's frames up to the `frames`-th; nothing if they are.

        Raises
        ------
        ClosedError : a mapping failed half way before, so that the addresses behind are lost.
        IndexError : the object has not so many.
        ValueError : more than were reserved for.
        TooScatteredError, OutOfMemoryError : as Scamem.map; what was mapped stays.
        """
        size = self._arena.frame_bytes
        if frames <= self.frames:
            return
        if self._cut:
            raise ClosedError(
                "a mapping of this object failed half way, and the addresses behind it may be "
                "another's now; open it anew"
            )
        if frames * size > self.reserved:
            raise ValueError(f"{frames} frames; {self.reserved:,} bytes of addresses are reserved")
        hold = self.view.hold
        runs = tuple(runs_within(hold, self.frames, frames - self.frames))
        address = self.view.address + self.frames * size
        try:
            made = mapping.extend(self._arena._made.direct, runs, size, address)
        except OSError:
            self._cut = True
            cut_view(self.view)
            raise
        grow_view(self.view, frames * size, made)
        self.frames = frames


def overlaps(parts: Sequence[Part]) -> bool:
    """Tell whether stretches of objects have a frame in common."""
    ordered = sorted((hold.index, start, count) for hold, start, count in parts)
    return any(
        index == other and start + count > behind
        for (index, start, count), (other, behind, _) in itertools.pairwise(ordered)
    )
