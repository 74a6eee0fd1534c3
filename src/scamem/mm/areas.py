"""Areas: `vm_struct`, `vmalloc` and `vmap`."""

from __future__ import annotations

import bisect
import ctypes
import sys
from collections.abc import Iterable, Iterator
from operator import index
from typing import Any

from scamem.arena import Arena
from scamem.core.store import layout as L
from scamem.errors import ClosedError
from scamem.handles.pickling import reduce_scamem
from scamem.membership.member import Hold
from scamem.memory.allocation import allocate
from scamem.objects.scamem import Scamem
from scamem.views.mapped import Mapped, Piece, map_frames

from .known import Known
from .looks import ScamemLook
from .pages import Page, hold_page

VMALLOC = "vmalloc"
VMAP = "vmap"


class Range:
    """The common part of areas and VMAs: a range of addresses, and the pages that it shows."""

    __slots__ = ("__weakref__", "mapped")

    def __init__(self, mapped: Mapped) -> None:
        self.mapped = mapped

    @property
    def arena(self) -> Arena:
        """The arena that the pages belong to."""
        found: Arena = self.mapped.seat.arena
        return found

    @property
    def nr_pages(self) -> int:
        """Number of pages shown; a page that is shown twice counts twice."""
        return sum(count for _, count, _ in self.mapped.frames())

    @property
    def pages(self) -> list[Page]:
        """The pages, in order of address. They hold no references."""
        return [Page(self.arena, pfn) for pfn in pfns_of(self.mapped.frames())]

    @property
    def scamems(self) -> list[ScamemLook]:
        """The scamems that have pages here, each once, as looks."""
        return looks_at(self.mapped)

    def view(self, start: int = 0, nr: int | None = None) -> memoryview:
        """Return the memory as a buffer of bytes (for np.frombuffer and the like).

        Parameters
        ----------
        start, nr : pages; None: up to the end.

        Raises
        ------
        ClosedError : it was freed or unmapped.
        IndexError : the pages are not inside it; names both.

        Ownership: like a pointer, the buffer holds no reference. Unlike a pointer, it keeps its
        pages mapped: while it is in use, vfree, vunmap and munmap raise ViewInUseError.
        """
        return memoryview(self.mapped.view(start, nr))


class vm_struct(Range):  # the kernel's name
    """A virtually contiguous area of pages in this process; `vmalloc` and `vmap` make one.

    Attributes
    ----------
    addr : its address in this process.
    size : bytes, in whole pages; there is no guard page.
    nr_pages, pages : the pages that it shows.
    scamem : its scamem, as a look; use `scamems` for a `vmap` of pages of several.

    Ownership: exactly one reference on its scamem (on each of them), held by this process. `vfree`
    or `vunmap`, deallocation, or the process's death drops it. The scamem is freed when its count
    is zero, not with its vm_struct. Why the reference is the process's, and not the arena's as with
    a published name: an area without a name cannot be found again, so one that outlived its only
    owner would leak. Publish what must survive (`arena[name] = ...`).

    Pickled, it arrives as its scamem, by handle: a `scamem.Scamem`, for `remap_vmalloc_range`
    there. An address is useful only in this process.
    Threads: any. fork: the child has the area at the same address, with its own reference.
    """

    __slots__ = ("kind",)

    def __init__(self, mapped: Mapped, kind: str) -> None:
        super().__init__(mapped)
        self.kind = kind

    @property
    def addr(self) -> int:
        """Address in this process; ClosedError once it was freed."""
        self.mapped.frames()
        return self.mapped.address

    @property
    def size(self) -> int:
        """Size in bytes; ClosedError once it was freed."""
        self.mapped.frames()
        return self.mapped.nbytes

    @property
    def scamem(self) -> ScamemLook:
        """The scamem, as a look; ValueError if the area shows pages of several."""
        found = looks_at(self.mapped)
        if len(found) != 1:
            raise ValueError(f"this area has pages of {len(found)} scamems: see its .scamems")
        return found[0]

    def __reduce__(self) -> tuple[Any, ...]:
        _ = self.scamem
        held = self.mapped.frames()[0][2]
        with Scamem(self.mapped.seat, held.another(L.BY_HAND)) as obj:
            return reduce_scamem(obj, sys._getframe(1))

    def __repr__(self) -> str:
        if not self.mapped.nbytes:
            return f"<vm_struct, {self.kind}, freed>"
        first, size = self.addr, self.size
        pages = self.nr_pages
        return f"<vm_struct {first:#x}-{first + size:#x} {size} pages={pages} {self.kind}>"


_areas: Known[vm_struct] = Known()


def looks_at(mapped: Mapped) -> list[ScamemLook]:
    """Return the scamems that a mapping shows, each once, in order of address."""
    pieces = mapped.frames()
    return list(
        dict.fromkeys(
            ScamemLook(mapped.seat.arena, held.index, held.generation) for *_, held in pieces
        )
    )


def pfns_of(pieces: list[Piece]) -> Iterator[int]:
    """Yield the numbers of the frames of pieces, in order."""
    for pfn, count, _ in pieces:
        yield from range(pfn, pfn + count)


def pieces_of(arena: Arena, hold: Hold) -> list[Piece]:
    """Return a held object's frames as pieces, which this reference keeps."""
    return [(pfn, count, hold) for pfn, count in arena._seat.member.runs(hold)]


def _is_among(pfn: int, runs: list[tuple[int, int]]) -> bool:
    """Return whether a frame lies in one of these runs, which are sorted by frame."""
    number = bisect.bisect_right(runs, pfn, key=lambda run: run[0])
    return number > 0 and pfn < sum(runs[number - 1])


def new_area(mapped: Mapped, kind: str) -> vm_struct:
    """Return an area over a mapping, and record it for `find_vm_area`."""
    made = vm_struct(mapped, kind)
    _areas.add(made)
    return made


# --- vmalloc -------------------------------------------------------------------------------------


def vmalloc(
    arena: Arena, size: int, *, node: int | None = None, zone: str | None = None
) -> vm_struct:
    """Allocate pages as one scamem, adjacent or not, and map them contiguously.

    Parameters
    ----------
    size : bytes, rounded up to whole pages (4,096 bytes).
    node, zone : as `arena.alloc`.

    Returns
    -------
    vm_struct : the pages hold whatever their last owner left there (see `vzalloc`).

    Raises
    ------
    ValueError : the size is 0 or less, or the arena has no such node or zone.
    OutOfMemoryError : names the limit that was met.
    TooScatteredError : the pages take more mappings than this process may still make.

    On failure nothing is allocated. Ownership: the area is one reference; see `vm_struct`.
    """
    if index(size) <= 0:
        raise ValueError(f"asked for an area of {size} bytes; one page is the least")
    hold = allocate(arena._seat, size, L.BY_MAPPING, node=node, zone=zone)
    return new_area(map_frames(arena._seat, pieces_of(arena, hold)), VMALLOC)


def vzalloc(
    arena: Arena, size: int, *, node: int | None = None, zone: str | None = None
) -> vm_struct:
    """Allocate an area of zeros; see `vmalloc`."""
    area = vmalloc(arena, size, node=node, zone=zone)
    ctypes.memset(area.addr, 0, area.size)
    return area


def vmalloc_node(arena: Arena, size: int, node: int) -> vm_struct:
    """Allocate an area on a NUMA node; see `vmalloc`."""
    return vmalloc(arena, size, node=node)


def vfree(area: vm_struct) -> None:
    """Unmap an area of `vmalloc` and drop its reference; the last reference frees the pages.

    Raises
    ------
    ClosedError : it was freed before.
    ViewInUseError : buffers over it are in use. Nothing has changed.
    ValueError : it is an area of `vmap`.
    """
    _free(area, VMALLOC, "vfree")


def vunmap(area: vm_struct) -> None:
    """Unmap an area of `vmap` and drop its references; errors as `vfree`."""
    _free(area, VMAP, "vunmap")


def _free(area: vm_struct, kind: str, asked: str) -> None:
    if area.kind != kind:
        other = "vunmap" if kind == VMALLOC else "vfree"
        raise ValueError(f"asked to {asked} an area of {area.kind}(); use {other}()")
    if not area.mapped.nbytes:
        raise ClosedError(f"asked to {asked} an area that is already freed")
    area.mapped.unmap(0)


# --- vmap ----------------------------------------------------------------------------------------


def vmap(arena: Arena, pages: Iterable[Page]) -> vm_struct:
    """Map pages contiguously: pages of one scamem or several, in any order; a page may occur twice.

    Parameters
    ----------
    pages : with or without references of their own, which stay the caller's.

    Raises
    ------
    ValueError : no pages, or a page of another arena.
    StaleHandleError : one of them is free.
    TooScatteredError : they take more mappings than this process may still make.

    Ownership: the area is one reference on each scamem that it shows, dropped by `vunmap`; see
    `vm_struct`. (The kernel's vmap takes none and trusts its caller.) On failure nothing is held.
    """
    held: dict[tuple[int, int], tuple[Hold, list[tuple[int, int]]]] = {}
    pieces: list[Piece] = []
    for page in pages:
        if page.arena is not arena:
            raise ValueError(f"asked to map {page!r} of another arena; an area has pages of one")
        numbers = arena._seat.member.page_to_object(page.pfn)
        hold, runs = held.get(numbers, (None, []))
        if hold is None or not _is_among(page.pfn, runs):
            hold = hold_page(page, L.BY_MAPPING)
            held[hold.index, hold.generation] = hold, sorted(arena._seat.member.runs(hold))
        if pieces and pieces[-1][2] is hold and sum(pieces[-1][:2]) == page.pfn:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + 1, hold)
        else:
            pieces.append((page.pfn, 1, hold))
    if not pieces:
        raise ValueError("asked for an area of no pages")
    return new_area(map_frames(arena._seat, pieces), VMAP)


# --- addresses -----------------------------------------------------------------------------------


def get_vm_area_size(area: vm_struct) -> int:
    """Return the size of an area in bytes. There is no guard page."""
    return area.size


def find_vm_area(addr: int) -> vm_struct | None:
    """Return this process's area at an address, None if there is none."""
    for area in _areas:
        if area.mapped.address <= addr < area.mapped.address + area.mapped.nbytes:
            return area
    return None


def is_vmalloc_addr(addr: int) -> bool:
    """Return whether an address of this process lies in an area of `vmalloc` or `vmap`."""
    return find_vm_area(addr) is not None


def vmalloc_to_page(area: vm_struct | int, offset: int = 0) -> Page:
    """Return the page at an offset of an area, without a reference.

    Parameters
    ----------
    area : an area, or an address in one.
    offset : bytes from there, of any byte in the page.

    Raises
    ------
    ClosedError : the area was freed.
    IndexError : the offset is not inside it; names both. ValueError : no area has the address.
    """
    if not isinstance(area, vm_struct):
        found = find_vm_area(area)
        if found is None:
            raise ValueError(f"asked for the page at {area:#x}; this process has no area there")
        return vmalloc_to_page(found, offset + area - found.addr)
    if not 0 <= index(offset) < area.size:
        raise IndexError(f"asked for the page at byte {offset:,} of an area of {area.size:,} bytes")
    ((pfn, _, _),) = area.mapped.frames(offset // area.arena.frame_bytes, 1)
    return Page(area.arena, pfn)


def vmalloc_to_pfn(area: vm_struct | int, offset: int = 0) -> int:
    """Return the pfn at an offset of an area; see `vmalloc_to_page`."""
    return vmalloc_to_page(area, offset).pfn
