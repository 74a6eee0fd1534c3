"""VMAs: `vm_area_struct`, mapping to user space, unmapping, and GUP."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from scamem.arena import Arena
from scamem.core.store import layout as L
from scamem.errors import ClosedError
from scamem.membership.member import Hold
from scamem.memory.allocation import hold_object
from scamem.objects.scamem import Scamem
from scamem.views.mapped import Mapped, Piece, held_anew, map_frames

from .areas import Range, pieces_of, vm_struct
from .known import Known
from .looks import ScamemLook
from .pages import Page, got_page, pin_pages

VM_READ, VM_WRITE, VM_SHARED = 1, 2, 8  # the kernel's bits


class vm_area_struct(Range):  # the kernel's name
    """A mapping of pages in this process's address space; `remap_vmalloc_range` makes one.

    Attributes
    ----------
    vm_start, vm_end : its addresses in this process.
    vm_flags : VM_READ, VM_WRITE and VM_SHARED, with the kernel's values.
    nr_pages, pages, scamems : what it shows.

    Ownership: one reference on each scamem that it shows. `munmap` of all of it, deallocation, or
    the process's death drops them. A part that a hole split off lives as long as the VMA that it
    came from, or its own object. A VMA belongs to one address space and cannot be pickled.
    Threads: any. fork: the child has it at the same addresses, with its own references.
    """

    __slots__ = ("split_off",)

    def __init__(self, mapped: Mapped) -> None:
        super().__init__(mapped)
        self.split_off: list[vm_area_struct] = []  # kept, if the caller ignores munmap's result

    @property
    def vm_start(self) -> int:
        """First address; ClosedError once it was unmapped."""
        self.mapped.frames()
        return self.mapped.address

    @property
    def vm_end(self) -> int:
        """Address after the last one; ClosedError once it was unmapped."""
        self.mapped.frames()
        return self.mapped.address + self.mapped.nbytes

    @property
    def vm_flags(self) -> int:
        """VM_READ, VM_SHARED, and VM_WRITE if it may be written."""
        return VM_READ | VM_SHARED | (VM_WRITE if self.mapped.writable else 0)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a VMA belongs to one process's address space; send the area, or a scamem.Scamem, "
            "and remap_vmalloc_range() it there"
        )

    def __repr__(self) -> str:
        if not self.mapped.nbytes:
            return "<vm_area_struct, unmapped>"
        access = "rw-s" if self.mapped.writable else "r--s"
        first, last, pages = self.vm_start, self.vm_end, self.nr_pages
        return f"<vm_area_struct {first:x}-{last:x} {access} pages={pages}>"


_vmas: Known[vm_area_struct] = Known()


def _new_vma(mapped: Mapped) -> vm_area_struct:
    made = vm_area_struct(mapped)
    _vmas.add(made)
    return made


def remap_vmalloc_range(
    area: vm_struct | Scamem | ScamemLook,
    *,
    pgoff: int = 0,
    nr: int | None = None,
    writable: bool = True,
) -> vm_area_struct:
    """Map the pages of an area, or of a scamem, into this process.

    Parameters
    ----------
    area : an area of this process; a `scamem.Scamem`, such as an area that was sent here; or a look
        at a scamem that is still held.
    pgoff, nr : which of its pages; None: up to the end.
    writable : False for pages that cannot be written through this VMA.

    Raises
    ------
    ClosedError : the area was freed, or the Scamem closed.
    StaleHandleError : the look's scamem was freed.
    IndexError : the pages are not inside it. ValueError : no pages.
    TooScatteredError : they take more mappings than this process may still make.

    Ownership: the VMA is one reference on each scamem that it shows. On failure nothing is held.
    """
    if nr == 0:
        raise ValueError("asked to map no pages")
    if isinstance(area, vm_struct):
        return _new_vma(
            map_frames(area.mapped.seat, held_anew(area.mapped.frames(pgoff, nr)), writable)
        )
    if isinstance(area, Scamem):
        arena, hold = area.arena, area.hold.another(L.BY_MAPPING)
    else:
        arena = area.arena
        hold = hold_object(arena._seat, area.index, area.generation, L.BY_MAPPING)
    pieces = _part(pieces_of(arena, hold), pgoff, nr)
    return _new_vma(map_frames(arena._seat, pieces, writable))


def _part(pieces: list[Piece], start: int, nr: int | None) -> list[Piece]:
    """Return the pieces of a range of pages; IndexError if it is not inside."""
    total = sum(count for _, count, _ in pieces)
    number = total - start if nr is None else nr
    if start < 0 or number <= 0 or start + number > total:
        raise IndexError(f"asked to map pages {start} to {start + number} of {total}")
    found = []
    for pfn, count, hold in pieces:
        first, last = max(start, 0), min(start + number, count)
        if first < last:
            found.append((pfn + first, last - first, hold))
        start -= count
    return found


def munmap(vma: vm_area_struct, start: int = 0, nr: int | None = None) -> list[vm_area_struct]:
    """Unmap a VMA, or some of its pages.

    Parameters
    ----------
    start, nr : pages, counted from the VMA's start; None: up to its end.

    Returns
    -------
    list : the VMAs that are left, lowest address first. Empty if all was unmapped. `vma` itself if
        one end was; it now shows the rest. For a hole, `vma` (before it) and a new one (after it).

    Raises
    ------
    ClosedError : it was unmapped before.
    IndexError : the pages are not inside it; names both. ValueError : no pages.
    ViewInUseError : buffers over the pages are in use.
    OutOfMemoryError : a hole would make one mapping more than this process may have.

    On failure nothing has changed.

    Ownership: a VMA that is split takes a reference for the part behind, as in the kernel
    (`vm_ops->open`). A VMA that is unmapped, or shows no page of a scamem any more, drops its
    reference. Pinned pages stay pinned.
    """
    if not vma.mapped.nbytes:
        raise ClosedError("asked to unmap a VMA that is already unmapped")
    behind = vma.mapped.unmap(start, nr)
    left = [vma] if vma.mapped.nbytes else []
    vma.split_off = [part for part in vma.split_off if part.mapped.nbytes]
    if behind is None:
        return left
    made = _new_vma(behind)
    vma.split_off.append(made)
    return [*left, made]


def vma_pages(vma: vm_area_struct) -> int:
    """Return how many pages a VMA has."""
    return vma.nr_pages


def find_vma(addr: int) -> vm_area_struct | None:
    """Return this process's first VMA that ends after an address, None if there is none.

    As in the kernel, the address may lie before the VMA; see `vma_lookup`.
    """
    found = [
        vma for vma in _vmas if vma.mapped.nbytes and vma.mapped.address + vma.mapped.nbytes > addr
    ]
    return min(found, key=lambda vma: vma.mapped.address, default=None)


def vma_lookup(addr: int) -> vm_area_struct | None:
    """Return this process's VMA that has an address, None if there is none."""
    vma = find_vma(addr)
    return vma if vma is not None and vma.mapped.address <= addr else None


# --- GUP -----------------------------------------------------------------------------------------


def get_user_pages(vma: vm_area_struct, start: int = 0, nr: int | None = None) -> list[Page]:
    """Return pages of a VMA, each with one reference on its scamem.

    Parameters
    ----------
    start, nr : pages, counted from the VMA's start; None: up to its end.

    Raises
    ------
    ClosedError : the VMA was unmapped.
    IndexError : the pages are not inside it; names both. Nothing is held then.

    Ownership: each page is a reference, dropped by `put_page`; it needs no VMA any more. It holds
    frames of the arena; it does not lock pages in RAM.
    """

    def get(arena: Arena, pfns: range, hold: Hold) -> list[Page]:
        return [got_page(arena, pfn, hold) for pfn in pfns]

    return _gup(vma, start, nr, get)


def pin_user_pages(vma: vm_area_struct, start: int = 0, nr: int | None = None) -> list[Page]:
    """Return pages of a VMA, each pinned, for data that a device or the kernel reads or writes.

    Parameters, errors and ownership: as `get_user_pages`, but only `unpin_user_pages` drops the
    pins. If the process dies with pages pinned, their frames get new memory before they are
    allocated again, since I/O may still reach the old memory (`Scamem.pin(io=True)`).
    """

    def pin(arena: Arena, pfns: range, hold: Hold) -> list[Page]:
        return pin_pages(arena, pfns, len(pfns), hold)

    return _gup(vma, start, nr, pin)


def _gup(
    vma: vm_area_struct,
    start: int,
    nr: int | None,
    take: Callable[[Arena, range, Hold], list[Page]],
) -> list[Page]:
    if not vma.mapped.nbytes:
        raise ClosedError("asked for pages of a VMA that was unmapped; take them before munmap()")
    arena = vma.arena
    found: list[Page] = []
    for pfn, count, hold in vma.mapped.frames(start, nr):
        found += take(arena, range(pfn, pfn + count), hold)
    return found
