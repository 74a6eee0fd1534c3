"""Mappings of frame files: the direct map of a whole file, and vmaps stitched from runs.

No mapping made here is copied by a fork unasked, or written to a core dump. A mapping can be
touched only once MADV_DONTFORK is set, so a child forked in between by another thread sees no
frames.

A vmap takes one mapping per run, and the kernel allows a process 65,530 (`vm.max_map_count`). A
quarter of them is left to the rest of the process.
"""

from __future__ import annotations

import errno
import os
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

from scamem.backing import head_room, huge_pages, system
from scamem.backing.files import ATTEMPTS, SharedFile, punch_mapped
from scamem.backing.text import sized
from scamem.errors import (
    BlindError,
    ClosedError,
    PlatformError,
    ReadOnlyMemberError,
    TooScatteredError,
)

from .stitch import stitch

HUGE_PAGE_BYTES: Final = 2 << 20  # alignment, so that collapsed pages can be mapped whole
MAPPINGS_RESERVE_SHARE: Final = 4  # 1/4 of vm.max_map_count is left to others
PRIVATE_OVER: Final = system.MAP_PRIVATE | system.MAP_NORESERVE | system.MAP_FIXED
RECOUNT_AFTER_RUNS: Final = 1024  # others map too: count again after this many were made


class DirectMap:
    """An arena's frame files in this process's address space, one after the other.

    They are mapped read-write and, on request, also read-only; or read-only alone.

    Attributes
    ----------
    address : of the first file's first byte. writable : whether it can be written there.
    length : bytes of all files.
    files : the file of small frames, and the file of huge frames if there is one.

    Ownership: it owns its mappings until `close`; nothing may use them after that. Threads: any.
    fork: children do not get them, unless the caller sets MADV_DOFORK on `ranges` for a fork.
    """

    def __init__(self, *files: SharedFile, writable: bool = True) -> None:
        self.files = files
        self.writable = writable
        self.length = sum(file.size for file in files)
        self.address = _map_aligned(files, writable=writable)
        self._read_only: dict[str, int] = {}  # at most one; setdefault settles races

    @property
    def writable_address(self) -> int:
        """`address`; ClosedError if the map was closed, ReadOnlyMemberError if it is read-only."""
        if not self.address:
            raise ClosedError("the direct map was closed; join the arena again")
        if not self.writable:
            raise ReadOnlyMemberError(
                "asked to write to an arena that this process joined with readonly=True; its "
                "frames are mapped read-only here. Do it in another process, or join without "
                "readonly"
            )
        return self.address

    @property
    def read_only_address(self) -> int:
        """Address of a mapping that cannot be written; a second one is made at first use."""
        if not self.writable:
            return self.address
        source = self.writable_address
        if "address" not in self._read_only:
            made = self._map_read_only(source)
            if self._read_only.setdefault("address", made) != made:
                system.munmap(made, self.length)
        return self._read_only["address"]

    def make_read_only(self, note: Callable[[int, int], object]) -> int:
        """Return `read_only_address`; call `note(address, bytes)` before others can find it.

        So a child that another thread forks in between finds either no address, or one that it has
        mapped. Needs: one caller at a time. Errors: those of `note`; nothing is mapped then.
        """
        if not self.writable:
            return self.address
        if "address" not in self._read_only:
            made = self._map_read_only(self.writable_address)
            try:
                note(made, self.length)
            except BaseException:
                system.munmap(made, self.length)
                raise
            self._read_only["address"] = made
        return self._read_only["address"]

    def _map_read_only(self, source: int) -> int:
        try:
            return _map_aligned(self.files, writable=False)
        except BlindError:
            if len(self.files) > 1:
                raise  # huge pages cannot be mapped a second time without a descriptor
            made = _reserve_aligned(self.length)
            try:
                system.duplicate_mapping(source, self.length, made)
                system.mprotect(made, self.length, system.PROT_READ)
            except OSError as error:
                system.munmap(made, self.length)
                raise _refused(error, self.length) from error
            return made

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield (address, bytes) of each mapping, for fork to open and close."""
        if self.address:
            yield self.address, self.length
        for address in self._read_only.values():
            yield address, self.length

    def file_of(self, offset: int) -> tuple[SharedFile, int]:
        """Return the file that a byte of the map belongs to, and the offset in that file."""
        for file in self.files[:-1]:
            if offset < file.size:
                return file, offset
            offset -= file.size
        return self.files[-1], offset

    @property
    def huge_offset(self) -> int:
        """Offset of the first huge frame, in bytes; `length` if there is none."""
        return self.files[0].size

    def punch(self, offset: int, length: int) -> None:
        """Give back the memory of a range of the file; works without a descriptor."""
        if not 0 <= offset <= offset + length <= self.length:
            raise ValueError(f"bytes {offset} to {offset + length} of a file of {self.length}")
        punch_mapped(self.writable_address + offset, length)

    def close(self) -> None:
        """Unmap. Code that still reads a frame through it gets SIGSEGV: check the pins first."""
        for address, length in tuple(self.ranges()):
            system.munmap(address, length)
        self.address = 0
        self._read_only.clear()


class MappingBudget:
    """How many mappings this process may still make; ours are known, others' are counted.

    Threads: any. The count of others is read from `/proc/self/maps`. It is read again when the
    budget seems spent, or many mappings were made since.
    """

    def __init__(self) -> None:
        # A collection may run a view's finalizer, and so `unmade`, inside any of these.
        self._lock = threading.RLock()
        self._ours: dict[int, int] = {}
        self._ours_total = 0
        self._others = 0
        self._limit = 0
        self._made_since_count = RECOUNT_AFTER_RUNS  # never counted yet
        # How many runs of handed-over views their owners have ever unmapped.
        self.given_back: Callable[[], int] = int

    def after_fork_in_child(self) -> None:
        """Make a new lock: another thread of the parent may have held it."""
        self._lock = threading.RLock()
        self._made_since_count = RECOUNT_AFTER_RUNS

    def left(self, runs: int = 0) -> int:
        """Return how many mappings may still be made; exact if `runs` would not fit."""
        with self._lock:
            if self._made_since_count + runs >= RECOUNT_AFTER_RUNS or runs > self._left():
                self._count()
            return self._left()

    def _left(self) -> int:
        return max(0, self._limit - self._others - self._mapped())

    def _mapped(self) -> int:
        return self._ours_total - self.given_back()

    def _count(self) -> None:
        most = head_room.mappings_max()
        self._limit = most - most // MAPPINGS_RESERVE_SHARE
        self._others = max(0, head_room.mappings_in_use() - self._mapped())
        self._made_since_count = 0

    def made(self, address: int, runs: int) -> None:
        """Note a new vmap of `runs` runs."""
        with self._lock:
            self._ours[address] = runs
            self._ours_total += runs
            self._made_since_count += runs

    def hand_over(self, address: int) -> None:
        """Leave a view to an owner that unmaps it and counts this in `given_back`."""
        with self._lock:
            self._ours.pop(address, None)

    def unmade(self, address: int) -> None:
        """Note that a vmap was unmapped."""
        with self._lock:
            self._ours_total -= self._ours.pop(address, 0)


budget: Final = MappingBudget()
os.register_at_fork(after_in_child=budget.after_fork_in_child)


def merged(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the runs, joining those that are adjacent in the object and in the file."""
    result: list[tuple[int, int]] = []
    for start, nframes in runs:
        if nframes <= 0 or start < 0:
            raise ValueError(f"a run of {nframes} frames at frame {start} is not valid")
        if result and sum(result[-1]) == start:
            result[-1] = (result[-1][0], result[-1][1] + nframes)
        else:
            result.append((int(start), int(nframes)))
    return result


def vmap(
    direct: DirectMap,
    runs: Iterable[tuple[int, int]],
    frame_size: int,
    writable: bool = True,
) -> int:
    """Map scattered runs of frames as one contiguous view; return its address.

    Parameters
    ----------
    direct : the frame files' direct map. The view is made from it, so no descriptor is needed
        (except for huge frames). All runs consist of small frames, or all of huge ones.
    runs : (first frame, frames), in the view's order.
    frame_size : bytes of a frame.
    writable : whether the view may be written.

    Raises
    ------
    TooScatteredError : the view needs more mappings than are left.
    OutOfMemoryError : no address space is left; `limit` names the limit.
    ValueError : a run is not inside the file.

    Ownership: the caller owns the view and unmaps it with `vunmap`. The caller holds the frames.
    fork: children do not get it, unless the caller sets MADV_DOFORK. On failure nothing is mapped.
    """
    spans = _spans(runs, frame_size, direct.length)
    source = direct.writable_address if writable else direct.read_only_address
    total = sum(length for _, length in spans)
    pairs = array("Q", chain.from_iterable(spans))
    left = budget.left(len(spans))
    if len(spans) > left:
        raise _too_scattered(len(spans), left, total)
    huge = direct.huge_offset < direct.length and spans[0][0] >= direct.huge_offset
    if huge:
        return _stitch_huge(direct, spans, total, writable)
    address = reserve(total)
    done, number = stitch(source, pairs.buffer_info()[0], len(spans), address)
    if number:
        _unmap_around(spans, done, address)
        if number == errno.ENOMEM and len(spans) > budget.left(len(spans)):
            raise _too_scattered(len(spans), budget.left(), total)
        raise _refused(OSError(number, os.strerror(number)), total)
    # A fork in another thread may have opened the direct map for its child meanwhile.
    system.madvise(address, total, system.MADV_DONTFORK)
    budget.made(address, len(spans))
    return address


def _stitch_huge(
    direct: DirectMap, spans: list[tuple[int, int]], total: int, writable: bool
) -> int:
    """Map runs of huge frames one after the other; on failure nothing stays mapped.

    It uses the descriptor: the kernel does not map huge pages a second time with `mremap` (EINVAL,
    Linux 6.18).
    """
    where = address = _reserve_aligned(total)
    try:
        for offset, length in spans:
            file, start = direct.file_of(offset)
            file.map(start, length, writable=writable, address=where)
            where += length
    except BaseException:
        system.munmap(address, total)
        raise
    budget.made(address, len(spans))
    return address


def _unmap_around(spans: list[tuple[int, int]], done: int, address: int) -> None:
    """Unmap an unfinished view, but not the span that failed.

    The kernel may have unmapped that one already, and another thread mapped something there. It is
    better to lose its address space than to unmap somebody else's memory.
    """
    before = sum(length for _, length in spans[:done])
    behind = sum(length for _, length in spans[done + 1 :])
    if before:
        system.munmap(address, before)
    if behind:
        system.munmap(address + before + spans[done][1], behind)


def vunmap(address: int, length: int) -> None:
    """Unmap a view made by `vmap`; no array may use it any more."""
    system.munmap(address, length)
    budget.unmade(address)


def vmap_private(direct: DirectMap, runs: Iterable[tuple[int, int]], frame_size: int) -> int:
    """Map runs of frames as one view whose writes stay in this process; return its address.

    A page that is written here becomes private to this process. The others show the frames,
    including later writes by others. For huge frames, the view's pages are reserved in the pool at
    once: without them, a write would end the process with SIGBUS.

    Parameters and errors as `vmap`, and BlindError : the file cannot be reached; a private mapping
    cannot be made from the direct map, as shared ones are. OutOfMemoryError : also for the pool.

    Ownership: the caller owns the view and unmaps it with `vunmap`. The caller holds the frames.
    fork: children do not get it, unless the caller sets MADV_DOFORK; then the child has
    its own copy, with what was written here before. On failure nothing is mapped.
    """
    spans = _spans(runs, frame_size, direct.length)
    total = sum(length for _, length in spans)
    if len(spans) > budget.left(len(spans)):
        raise _too_scattered(len(spans), budget.left(), total)
    file, _ = direct.file_of(spans[0][0])
    huge = spans[0][0] >= direct.huge_offset
    if huge:
        spans = [(offset - direct.huge_offset, length) for offset, length in spans]
    address = _reserve_aligned(total) if huge else reserve(total)
    flags = PRIVATE_OVER & ~system.MAP_NORESERVE if huge else PRIVATE_OVER
    try:
        for _ in range(ATTEMPTS):
            fd = file.descriptor()
            done, number = _map_over(fd, spans, address, flags)
            if not file.is_ours(fd):
                continue  # the descriptor was replaced meanwhile: some of it may be another file
            if number == 0:
                return _open_private(address, total, len(spans))
            _unmap_around(spans, done, address)
            if huge and number == errno.ENOMEM:
                raise huge_pages.none_left(total, file.label)
            raise _refused(OSError(number, os.strerror(number)), total)
    except BlindError:
        system.munmap(address, total)
        raise
    system.munmap(address, total)
    raise BlindError(f"other code in this process keeps closing the descriptor of {file.label}")


def _map_over(fd: int, spans: list[tuple[int, int]], address: int, flags: int) -> tuple[int, int]:
    """Map spans of a file privately over reserved addresses; return (spans done, errno or 0)."""
    done = 0
    for offset, length in spans:
        try:
            system.mmap(address, length, system.PROT_NONE, flags, fd, offset)
        except OSError as error:
            return done, error.errno or errno.EIO
        done, address = done + 1, address + length
    return done, 0


def _open_private(address: int, total: int, runs: int) -> int:
    try:
        system.madvise(address, total, system.MADV_DONTFORK)
        system.madvise(address, total, system.MADV_DONTDUMP)
        system.mprotect(address, total, system.PROT_READ | system.PROT_WRITE)
    except OSError as error:
        system.munmap(address, total)
        raise _refused(error, total) from error
    budget.made(address, runs)
    return address


def reserve(length: int) -> int:
    """Reserve inaccessible address space for `extend` to fill; raises OutOfMemoryError."""
    try:
        return system.reserve(length)
    except OSError as error:
        raise _refused(error, length) from error


def extend(
    direct: DirectMap, runs: Iterable[tuple[int, int]], frame_size: int, address: int
) -> int:
    """Map runs of frames into reserved address space, from `address` on; return the mapping count.

    Raises
    ------
    TooScatteredError : it would need more mappings than are left; the reservation is unchanged.
    OSError : the kernel refused one of them. The memory at and after `address` may not be ours
        any more: neither touch nor unmap it.

    Ownership: the caller owns the mappings, with the reservation. fork: as `vmap`.
    """
    spans = _spans(runs, frame_size, direct.length)
    total = sum(length for _, length in spans)
    if len(spans) > budget.left(len(spans)):
        raise _too_scattered(len(spans), budget.left(), total)
    source = direct.writable_address
    pairs = array("Q", chain.from_iterable(spans))
    _, number = stitch(source, pairs.buffer_info()[0], len(spans), address)
    if number:
        raise OSError(number, os.strerror(number))
    system.madvise(address, total, system.MADV_DONTFORK)
    budget.made(address, len(spans))
    budget.hand_over(address)
    return len(spans)


def _spans(
    runs: Iterable[tuple[int, int]], frame_size: int, file_size: int
) -> list[tuple[int, int]]:
    spans = [(start * frame_size, count * frame_size) for start, count in merged(runs)]
    if not spans:
        raise ValueError("asked for a view of no frames")
    if frame_size % system.PAGE_BYTES:
        raise PlatformError(
            f"frames of {frame_size} bytes cannot be mapped one by one: this kernel's pages have "
            f"{system.PAGE_BYTES} bytes. Use a kernel with pages of 4 KiB"
        )
    if max(offset + length for offset, length in spans) > file_size:
        raise ValueError(f"a run ends beyond the frame file, which has {file_size} bytes")
    return spans


def populate(address: int, length: int, *, write: bool) -> None:
    """Fill the page tables of a range of online frames at once, instead of one fault at a time.

    Raises
    ------
    OutOfMemoryError : the kernel has no memory for the page tables.
    OSError : EFAULT, a frame of the range cannot be touched.
    """
    try:
        system.populate(address, length, write=write)
    except OSError as error:
        raise _refused(error, length) from error


def _too_scattered(runs: int, left: int, length: int) -> TooScatteredError:
    return TooScatteredError(
        f"asked for one contiguous view of {sized(length)} in {runs:,} runs; {left:,} mappings are "
        "left to this process (vm.max_map_count, less those in use, less a quarter). Work on the "
        "runs one by one (pins and scatter-gather I/O need no view), copy the object to less "
        "scattered memory, close other views, or raise the sysctl",
        runs=runs,
        limit=left,
    )


def _refused(error: OSError, length: int) -> Exception:
    if error.errno != errno.ENOMEM:
        return error
    return head_room.address_space_error(length)


def _reserve_aligned(length: int) -> int:
    """Reserve address space, aligned so that huge pages of the file can be mapped whole."""
    length = -(-length // system.PAGE_BYTES) * system.PAGE_BYTES
    try:
        start = system.reserve(length + HUGE_PAGE_BYTES)
    except OSError as error:
        raise _refused(error, length) from error
    aligned = -(-start // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
    if aligned > start:
        system.munmap(start, aligned - start)
    behind = start + HUGE_PAGE_BYTES - aligned
    if behind:
        system.munmap(aligned + length, behind)
    return aligned


def _map_aligned(files: tuple[SharedFile, ...], *, writable: bool) -> int:
    length = sum(file.size for file in files)
    address = _reserve_aligned(length)
    where = address
    try:
        for file in files:
            file.map(0, file.size, writable=writable, address=where)
            where += file.size
    except BaseException:
        system.munmap(address, length)
        raise
    return address
