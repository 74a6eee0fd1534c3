"""Pages: their references, and what follows from their number."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from scamem.arena import Arena
from scamem.core.store import layout as L
from scamem.errors import OutOfMemoryError, PageNotHeldError, StaleHandleError
from scamem.handles.convert import RAW_DESCRIPTION, load_handle
from scamem.handles.handle import Handle
from scamem.handles.runs import sent_by
from scamem.membership.member import Hold, release
from scamem.memory.allocation import allocate, hold_object
from scamem.views.view import make_view

ORDER_MAX = 20  # blocks of 4 GiB; the kernel's MAX_PAGE_ORDER is a property of its allocator


class _Pinned:
    """The pins of one call and one scamem: one pin per page, and the last to go is one for I/O.

    While a page of the call is pinned, the scamem is marked as one that a device may still write
    (`pin(io=True)`), whichever pages were unpinned. One mark is enough.
    """

    __slots__ = ("holds",)

    def __init__(self, hold: Hold, count: int) -> None:
        self.holds = [hold.another(L.BY_PIN if k else L.BY_IO) for k in range(count)]

    def let_go(self) -> None:
        release(self.holds.pop())


class Page:
    """A page of an arena (`struct page`), with the references that this Python object holds.

    Page objects for the same page are equal. Pages from `get_user_pages` and `alloc_pages` hold a
    reference on their scamem; those from `vmalloc_to_page`, `area.pages` and `pfn_to_page` hold
    none.

    Attributes
    ----------
    arena : the arena that it belongs to.
    pfn : its number; a page has 4,096 bytes.

    Ownership: `put_page` and `unpin_user_page` drop references one by one; deallocation or the
    process's death drops the rest. Pickled, a page that holds a reference arrives with its own, of
    the same kind, by handle; a page without one arrives without one.
    Threads: any. fork: the child's pages hold their own references.
    """

    __slots__ = ("__weakref__", "arena", "gets", "order", "pfn", "pins")

    def __init__(self, arena: Arena, pfn: int) -> None:
        self.arena = arena
        self.pfn = pfn
        self.order: int | None = None  # of the block that it begins, if from alloc_pages
        self.gets: list[Hold] = []
        self.pins: list[_Pinned] = []

    def __del__(self) -> None:
        for pinned in self.pins:
            pinned.let_go()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Page):
            return NotImplemented
        return self.pfn == other.pfn and self.arena.arena_id == other.arena.arena_id

    def __hash__(self) -> int:
        return hash((self.arena.arena_id, self.pfn))

    def __reduce__(self) -> tuple[Any, ...]:
        pinned, hold = bool(self.pins), hold_of(self)
        if hold is None:
            return pfn_to_page, (self.arena, self.pfn)
        handle = Handle(self.arena._seat, hold.another(L.BY_HAND), RAW_DESCRIPTION)
        return _load_page, (sent_by(handle, sys._getframe(1)), self.pfn, pinned)

    def __repr__(self) -> str:
        held = "".join(
            f" {name}={len(count)}"
            for name, count in (("gets", self.gets), ("pins", self.pins))
            if count
        )
        nid, zone = page_to_nid(self), page_zone(self)
        return f"<page pfn:{self.pfn:#x} node:{nid} zone:{zone}{held}>"


def _load_page(data: bytes, pfn: int, pinned: bool) -> Page:
    """Return a page that was sent, with its own reference; StaleHandleError if it was freed."""
    with load_handle(data) as handle:
        hold = handle.hold
        page = (
            pinned_page(handle.arena, pfn, _Pinned(hold, 1)) if pinned else Page(handle.arena, pfn)
        )
        if not pinned:
            page.gets.append(hold.another(L.BY_PIN))
        member = handle.seat.member
        there = member.page_to_object(pfn) == (hold.index, hold.generation)
        if not there or not member.has_frame(hold, pfn):
            raise StaleHandleError(
                f"page {pfn:#x} left scamem {hold.index} while it was in transit and nobody held "
                "it. Keep the page until it was received"
            )
        return page


def pinned_page(arena: Arena, pfn: int, pinned: _Pinned) -> Page:
    """Return a page that holds one of a call's pins."""
    page = Page(arena, pfn)
    page.pins.append(pinned)
    return page


def pin_pages(arena: Arena, pfns: Iterable[int], count: int, hold: Hold) -> list[Page]:
    """Return pages of one held scamem, pinned."""
    pinned = _Pinned(hold, count)
    return [pinned_page(arena, pfn, pinned) for pfn in pfns]


def got_page(arena: Arena, pfn: int, hold: Hold) -> Page:
    """Return a page that holds one reference."""
    page = Page(arena, pfn)
    page.gets.append(hold.another(L.BY_PIN))
    return page


def hold_of(page: Page) -> Hold | None:
    """Return a reference that a page holds, None if it holds none."""
    for holds in (page.gets, *(pinned.holds for pinned in page.pins)):
        if holds:
            return holds[0]
    return None


def hold_page(page: Page, by: int) -> Hold:
    """Return a reference to a page's current scamem, whether or not the page holds one.

    Raises
    ------
    StaleHandleError : the page is free, or its section is offline.
    """
    hold = hold_of(page)
    if hold is not None:
        return hold.another(by)
    while True:
        found = page.arena._seat.member.page_to_object(page.pfn)
        if found[0] == 0:
            raise StaleHandleError(
                f"page {page.pfn:#x} belongs to no scamem: it is free. A page without a reference "
                "does not keep its memory; get_page() it while somebody else does"
            )
        try:
            hold = hold_object(page.arena._seat, *found, by)
        except StaleHandleError:
            continue  # freed between the look and the hold: look again
        if page.arena._seat.member.page_to_object(page.pfn) != found:
            continue
        if page.arena._seat.member.has_frame(hold, page.pfn):
            return hold
        release(hold)
        raise StaleHandleError(
            f"page {page.pfn:#x} is about to leave scamem {found[0]}, whose bytes were copied to "
            "other pages. A page without a reference does not keep its memory"
        )


# --- references ----------------------------------------------------------------------------------


def get_page(page: Page) -> None:
    """Take one more reference on a page's scamem; `put_page` of this `Page` drops it.

    Raises
    ------
    StaleHandleError : the page is free.
    """
    page.gets.append(hold_page(page, L.BY_PIN))


def put_page(page: Page) -> None:
    """Drop one reference of a page; the scamem's last reference frees all of it.

    Raises
    ------
    PageNotHeldError : this `Page` holds no reference, or only pins. Nothing has changed.
    """
    _put_all([page], pins=False)


def release_pages(pages: Iterable[Page]) -> None:
    """Drop one reference of each page, or none: errors as `put_page`."""
    _put_all(list(pages), pins=False)


def unpin_user_page(page: Page) -> None:
    """Drop one pin of a page; PageNotHeldError if this `Page` has none."""
    _put_all([page], pins=True)


def unpin_user_pages(pages: Iterable[Page]) -> None:
    """Drop one pin of each page. Only the pages are needed; their VMA may have been unmapped.

    Raises
    ------
    PageNotHeldError : one of them is not pinned, or not so many times. Nothing has changed.
    """
    _put_all(list(pages), pins=True)


def _put_all(pages: Sequence[Page], *, pins: bool) -> None:
    """Drop one reference of a kind of each page; if one has none, drop nothing and raise."""
    taken: list[tuple[Page, Any]] = []
    for page in pages:
        reference = _take(page, pins)
        if reference is None:
            for before, given in taken:
                (before.pins if pins else before.gets).append(given)
            raise _not_held(page, pins)
        taken.append((page, reference))
    for _, reference in taken:
        if pins:
            reference.let_go()
        else:
            release(reference)


def _take(page: Page, pins: bool) -> Any:
    """Take a reference of a kind off a page, None if it holds none. Of two threads, one gets it."""
    try:
        return (page.pins if pins else page.gets).pop()
    except IndexError:
        return None


def _not_held(page: Page, pins: bool) -> PageNotHeldError:
    others = page.gets if pins else page.pins
    asked, other = ("unpin", "put_page") if pins else ("put", "unpin_user_page")
    hint = f"its reference must be dropped by {other}()" if others else "it was already dropped"
    if not others and page.order is None:
        hint += ", or never held (a page of an area, or one found by its number, holds none)"
    return PageNotHeldError(
        f"asked to {asked} page {page.pfn:#x}, which holds no such reference: {hint}",
        pfn=page.pfn,
    )


# --- numbers, and what follows from them ---------------------------------------------------------


def page_to_pfn(page: Page) -> int:
    """Return a page's number."""
    return page.pfn


def pfn_valid(arena: Arena, pfn: int) -> bool:
    """Return whether an arena has a page of this number, online or not."""
    return 0 <= index(pfn) < arena._seat.geometry.frames


def pfn_to_page(arena: Arena, pfn: int) -> Page:
    """Return the page of a number, without a reference; IndexError if the arena has none."""
    if not pfn_valid(arena, pfn):
        raise IndexError(f"asked for page {pfn:,}; the arena has {arena._seat.geometry.frames:,}")
    return Page(arena, index(pfn))


def page_to_nid(page: Page) -> int:
    """Return the NUMA node of a page in any state."""
    return int(page.arena.page_to_nid(page.pfn))


def page_zone(page: Page) -> str:
    """Return the zone of a page in any state."""
    return str(page.arena.page_zone(page.pfn))


def page_to_section(page: Page) -> int:
    """Return the section of a page in any state."""
    return int(page.arena.page_to_section(page.pfn))


def page_address(page: Page) -> int:
    """Return a page's address in this process's direct map. It is a pointer: it holds nothing."""
    return page.arena._seat.direct_address + page.pfn * page.arena.frame_bytes


def kmap_local_page(page: Page) -> memoryview:
    """Return one page's bytes as a writable buffer.

    Raises
    ------
    StaleHandleError : the page is free.

    Ownership: the buffer holds one reference (a mapping), until `kunmap_local`, or until the last
    buffer made from it is deallocated.
    """
    hold = hold_page(page, L.BY_MAPPING)
    return memoryview(make_view(hold, page_address(page), page.arena.frame_bytes, True, 0))


def kunmap_local(mapped: memoryview) -> None:
    """Release a buffer of `kmap_local_page`. Again: nothing. BufferError if it is in use."""
    mapped.release()


# --- the page allocator --------------------------------------------------------------------------


def alloc_pages(
    arena: Arena, order: int = 0, *, node: int | None = None, zone: str | None = None
) -> Page:
    """Allocate 2**order adjacent pages, as a scamem of their own.

    Parameters
    ----------
    order : 0 to 20.
    node, zone : as `arena.alloc`.

    Returns
    -------
    Page : the first page; the others have the numbers that follow. They hold whatever their last
        owner left there.

    Raises
    ------
    ValueError : the order is out of range.
    OutOfMemoryError : there are not enough free pages, or not adjacent; `vmalloc` needs no run.

    Ownership: the page holds one reference, dropped by `free_pages` or `put_page`.
    """
    if not 0 <= index(order) <= ORDER_MAX:
        raise ValueError(f"asked for pages of order {order}; 0 to {ORDER_MAX} are possible")
    nbytes = arena.frame_bytes << order
    hold = allocate(arena._seat, nbytes, L.BY_PIN, node=node, zone=zone)
    runs = arena._seat.member.runs(hold)
    if len(runs) > 1:
        release(hold)
        raise OutOfMemoryError(
            f"asked for {1 << order:,} pages side by side; enough are free, but scattered: the "
            f"longest run has {max(count for _, count in runs):,}. vmalloc() needs no run",
            asked_bytes=nbytes,
            limit="fragmentation",
        )
    page = Page(arena, runs[0][0])
    page.order = index(order)
    page.gets.append(hold)
    return page


def alloc_page(arena: Arena, *, node: int | None = None, zone: str | None = None) -> Page:
    """Allocate one page; see `alloc_pages`."""
    return alloc_pages(arena, 0, node=node, zone=zone)


def free_pages(page: Page, order: int = 0) -> None:
    """Drop the reference from `alloc_pages`; the last reference frees the pages.

    Raises
    ------
    ValueError : the page is not from `alloc_pages`, or has another order.
    PageNotHeldError : it was freed before.
    """
    if page.order != order:
        was = "not from alloc_pages()" if page.order is None else f"with order {page.order}"
        raise ValueError(f"asked to free page {page.pfn:#x} with order {order}; it came {was}")
    put_page(page)


def free_page(page: Page) -> None:
    """Free one page; see `free_pages`."""
    free_pages(page, 0)
