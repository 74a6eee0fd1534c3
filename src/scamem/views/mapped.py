"""Map frames of one object or several at a separate address, and unmap parts of the mapping.

State. A range of addresses, the frames that it shows, and one reference (BY_MAPPING) for each
object among them. An entry {address, bytes} in the table of mappings that fork opens and closes.

Steps of unmapping. First prepare everything that is a Python object: the frames left before and
behind, and for a part behind a hole a new Mapped with its own references. Then, under the
process-local lock: unmap, change the table, change the ranges. Then release the objects that are no
longer shown.

Why safe: fork's prepare waits for the local lock, so a child sees mapping, table and range all
before the change or all after it. The list of frames follows before another thread can run Python.
An entry never covers an address that was given up and may be another mapping by now, so fork never
advises foreign memory. References are taken before the mapping is made and dropped after it is
unmapped: frames that are shown are always held. Threads: if another thread has changed the range or
taken a view since it was looked at, the unmapping starts again.

Tried and failed: to split by mapping both parts anew, which gives them new addresses. To remove the
entry first and add the parts after the kernel had split the mapping: a child forked in between had
ranges that were not mapped there.
"""

import weakref

import cython
from cython.cimports.cpython.buffer import PyBuffer_FillInfo
from cython.cimports.libc.errno import errno
from cython.cimports.posix.mman import munmap
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.membership import process
from cython.cimports.scamem.membership.member import Hold

from scamem.address_space import map as mapping
from scamem.backing.text import counted
from scamem.errors import ClosedError, OutOfMemoryError, ScamemError, ViewInUseError

from .making import read_only_address

Piece = tuple[int, int, Hold]  # first pfn, frames, and the reference that keeps them


@cython.no_gc_clear  # GC must not clear what __dealloc__ uses; only the decorator works
@cython.cclass
class Mapped:
    """A mapping of frames at a separate address; `map_frames` makes it.

    Attributes
    ----------
    seat : of the arena that has the frames.
    address, nbytes : where it is in this process, and its length in bytes; 0 once unmapped.
    writable : whether it may be written.

    Ownership: one reference (a mapping) on each object that it shows, dropped by `unmap`,
    deallocation, or the process's death. Threads: any. fork: the child has it at the same address,
    with its own references.
    """

    def __init__(self) -> None:
        raise TypeError("mappings are made by map_frames")

    def frames(self, start: int = 0, count: object = None) -> list:
        """Return the pieces of a range: (first pfn, frames, reference), in order of address.

        Raises
        ------
        ClosedError : the mapping was unmapped.
        IndexError : the range is not inside it; names both.
        """
        pieces = self.pieces
        total = sum([piece[1] for piece in pieces])
        if total == 0:
            raise ClosedError("this mapping was unmapped")
        number = total - start if count is None else count
        if start < 0 or number < 0 or start + number > total:
            raise IndexError(
                f"asked for frames {start} to {start + number} of a mapping of "
                f"{counted(total, 'frame')}"
            )
        return cut(pieces, start, start + number)

    def view(self, start: int = 0, count: object = None) -> MappedView:
        """Return a buffer over a range of frames; see MappedView.

        Raises
        ------
        ClosedError, IndexError : as `frames`.
        """
        made: MappedView = MappedView.__new__(MappedView)
        seen: cython.ulonglong
        while True:
            seen = self.changes
            wanted = sum([piece[1] for piece in self.frames(start, count)])
            made.mapped = self
            made.address = self.address + cython.cast(cython.ulonglong, start) * L.FRAME_BYTES
            made.nbytes = cython.cast(cython.ulonglong, wanted) * L.FRAME_BYTES
            made.writable = self.writable
            self.views = [ref for ref in self.views if ref() is not None]
            self.views.append(weakref.ref(made))
            process.lock_local()
            if seen == self.changes:
                self.changes += 1
                process.unlock_local()
                return made
            process.unlock_local()

    def unmap(self, start: int, count: object = None) -> Mapped | None:
        """Unmap a range of frames. If it is in the middle, the part behind it becomes a Mapped.

        Returns
        -------
        Mapped : the part behind, with its own references. None if nothing is left behind the range,
            or nothing before it; in the latter case this object keeps the part behind.

        Raises
        ------
        ClosedError, IndexError : as `frames`.
        ViewInUseError : a view of the range is in use.
        OutOfMemoryError : the hole would make one mapping too many.
        OSError : the kernel refused; parts of huge frames cannot be unmapped.

        On failure nothing has changed.
        """
        behind: Mapped
        seen: cython.ulonglong
        while True:
            seen = self.changes
            pieces = self.pieces
            gone = sum([piece[1] for piece in self.frames(start, count)])
            total = sum([piece[1] for piece in pieces])
            if gone == 0:
                raise ValueError("asked to unmap no frames")
            views = self.views_behind(start, start + gone)
            left = cut(pieces, 0, start)
            right = cut(pieces, start + gone, total)
            behind = None
            if left and right:
                behind = new_mapped(self.seat, self.writable, held_anew(right))
                behind.views = [weakref.ref(view) for view in views]
            number = self.split(seen, behind, start, start + gone, [left, right, views])
            if number == 0:
                return behind
            if number != CHANGED:
                raise refused(self.member.error_of(L.NOT_HELD), number)

    def views_behind(self, start: int, end: int) -> list:
        """Return the views behind a range of frames; ViewInUseError if one overlaps the range."""
        first: cython.ulonglong = (
            self.address + cython.cast(cython.ulonglong, start) * L.FRAME_BYTES
        )
        last: cython.ulonglong = self.address + cython.cast(cython.ulonglong, end) * L.FRAME_BYTES
        views = [view for view in [ref() for ref in self.views] if view is not None]
        inside = [
            view for view in views if view.address < last and view.address + view.nbytes > first
        ]
        if inside:
            raise ViewInUseError(
                f"asked to unmap {counted(end - start, 'frame')} at {first:#x}; "
                f"{counted(len(inside), 'buffer')} (arrays, memoryviews) still in use. Drop "
                "these first",
                views=len(inside),
            )
        return [view for view in views if view.address >= last]

    def split(
        self,
        seen: cython.ulonglong,
        behind: Mapped | None,
        start: cython.ulonglong,
        end: cython.ulonglong,
        parts: list,
    ) -> cython.int:
        """Unmap frames, and count the mappings; return 0, CHANGED, LEFT, NO_RANGE, or an errno."""
        left, right, views = parts
        before = mapping.merged([(pfn, count) for pfn, count, _ in left])
        after = mapping.merged([(pfn, count) for pfn, count, _ in right])
        mappings: cython.ulonglong = len(before) + len(after)
        one_more: cython.bint = mappings > self.mappings
        key = self.address + end * L.FRAME_BYTES
        shown: list = left or right
        moved: MappedView
        if behind is not None:
            behind.mappings = len(after)
        if one_more:
            mapping.budget.made(key, 1)
        number: cython.int = self.carve(
            seen, behind, start * L.FRAME_BYTES, end * L.FRAME_BYTES, mappings
        )
        if number == 0:  # no Python call until all of it has changed: another thread may fork
            self.pieces = shown
            if behind is not None:
                for moved in views:
                    moved.mapped = behind
        if one_more and number == 0:
            mapping.budget.hand_over(key)
        elif one_more:
            mapping.budget.unmade(key)
        return number

    def carve(
        self,
        seen: cython.ulonglong,
        behind: Mapped,
        start: cython.ulonglong,
        end: cython.ulonglong,
        mappings: cython.ulonglong,
    ) -> cython.int:
        """Unmap bytes start to end, with range, table and counts; on failure change nothing."""
        result: cython.int = 0
        mine = self.member.mine
        process.lock_local()
        if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            result = LEFT
        elif seen != self.changes:
            result = CHANGED
        elif (
            start > 0
            and end < self.nbytes
            and (mine[L.MINE_RANGES_COUNT] >= mine[L.MINE_RANGES_MAX])
        ):
            result = NO_RANGE
        elif munmap(cython.cast(cython.p_void, self.address + start), end - start) != 0:
            result = errno
        else:
            process.remove_range(mine, self.address)
            if mappings < self.mappings:
                process.state[1] += self.mappings - mappings
            self.mappings = mappings
            if start > 0:
                process.add_range(mine, self.address, start)
            if end < self.nbytes:
                process.add_range(mine, self.address + end, self.nbytes - end)
            if start > 0 and end < self.nbytes:
                behind.address = self.address + end
                behind.nbytes = self.nbytes - end
                self.mappings -= behind.mappings
            elif start == 0:
                self.address = self.address + end if end < self.nbytes else 0
                self.nbytes -= end
            if start > 0:
                self.nbytes = start
            self.changes += 1
        process.unlock_local()
        return result

    def __dealloc__(self) -> None:
        unmap_all(self)


def unmap_all(mapped: Mapped) -> cython.void:
    """Unmap what is left: remove fork's entry, unmap, count. Runs before the holds are dropped."""
    # A forked child that is no member does not have this mapping: the address is foreign there.
    if mapped.nbytes != 0 and mapped.member.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
        process.lock_local()
        process.remove_range(mapped.member.mine, mapped.address)
        process.state[1] += mapped.mappings
        munmap(cython.cast(cython.p_void, mapped.address), mapped.nbytes)
        process.unlock_local()
        mapped.nbytes = 0


@cython.no_gc_clear  # GC must not clear what __dealloc__ uses; only the decorator works
@cython.cclass
class MappedView:
    """A buffer over a range of a mapping (memoryview, np.frombuffer).

    Like a pointer, it holds no reference to the object. It keeps its mapping alive, and the range
    cannot be unmapped while the buffer is in use.

    Attributes
    ----------
    address, nbytes : where it is in this process, and its length in bytes.
    writable : whether it may be written.
    """

    def __init__(self) -> None:
        raise TypeError("these views are made from an area or a VMA")

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        PyBuffer_FillInfo(
            buffer,
            self,
            cython.cast(cython.p_void, self.address),
            self.nbytes,
            not self.writable,
            flags,
        )


def new_mapped(seat: object, writable: cython.bint, pieces: list) -> Mapped:
    made: Mapped = Mapped.__new__(Mapped)
    made.seat = seat
    made.member = seat.member
    made.writable = writable
    made.pieces = pieces
    made.views = []
    return made


def cut(pieces: list, start: int, end: int) -> list:
    """Return frames start to end of a list of pieces."""
    found = []
    for pfn, count, held in pieces:
        first, last = max(start, 0), min(end, count)
        if first < last:
            found.append((pfn + first, last - first, held))
        start -= count
        end -= count
    return found


def held_anew(pieces: list) -> list:
    """Return pieces with new references, one for each object."""
    held: dict = {}
    for _, _, hold in pieces:
        if (hold.index, hold.generation) not in held:
            held[hold.index, hold.generation] = hold.another(L.BY_MAPPING)
    return [(pfn, count, held[hold.index, hold.generation]) for pfn, count, hold in pieces]


def refused(error: object, number: int) -> Exception:
    """Return the exception for a failed `carve`; `error` if this process is not a member."""
    import errno as names
    import os

    if number == LEFT:
        return error
    if number == NO_RANGE:
        return ScamemError("this process has too many mappings of one arena; drop some")
    if number == names.ENOMEM:
        return OutOfMemoryError(
            "asked for a hole in a mapping, which splits it in two; this process has as many "
            "mappings as allowed (vm.max_map_count). Unmap from an end, unmap others, or raise it",
            limit="vm.max_map_count",
        )
    return OSError(number, f"munmap: {os.strerror(number)}")


def map_frames(seat: object, pieces: list, writable: bool = True) -> Mapped:
    """Map frames one after the other, at a separate address.

    Parameters
    ----------
    seat : of the arena that has all of them.
    pieces : (first pfn, frames, reference) in order; one reference (BY_MAPPING) for each object,
        which the mapping takes over.

    Raises
    ------
    TooScatteredError : it takes more mappings than this process may still make.
    OutOfMemoryError : no address space is left.

    Cost: one mremap per run.
    """
    made: Mapped = new_mapped(seat, writable, pieces)
    runs = mapping.merged([(pfn, count) for pfn, count, _ in pieces])
    nbytes: cython.ulonglong = sum([count for _, count in runs]) * L.FRAME_BYTES
    if not writable:
        read_only_address(seat)
    address: cython.ulonglong = mapping.vmap(seat.direct, runs, L.FRAME_BYTES, writable)
    try:
        seat.member.add_range(address, nbytes)
    except BaseException:
        mapping.vunmap(address, nbytes)
        raise
    mapping.budget.hand_over(address)
    made.mappings = len(runs)
    made.address = address
    made.nbytes = nbytes
    return made
