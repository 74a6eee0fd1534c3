"""Pages: GUP, references one by one, the page allocator, and what follows from a number."""

from __future__ import annotations

import gc
import pickle
import threading
from collections.abc import Callable

import pytest

import scamem
from scamem import Arena, mm
from tests.mm.witness import PAGE, scatter

PAGES = 10


def map_new(arena: Arena) -> tuple[mm.vm_area_struct, mm.ScamemLook]:
    """A VMA of ten pages, which is the only reference to their scamem."""
    area = mm.vmalloc(arena, PAGES * PAGE)
    vma, look = mm.remap_vmalloc_range(area), area.scamem
    mm.vfree(area)
    return vma, look


Take = Callable[[mm.vm_area_struct, int, int], list[mm.Page]]
KINDS = [
    pytest.param(mm.get_user_pages, mm.put_page, mm.release_pages, id="get"),
    pytest.param(mm.pin_user_pages, mm.unpin_user_page, mm.unpin_user_pages, id="pin"),
]


@pytest.mark.parametrize(("take", "give", "give_all"), KINDS)
def test_each_page_is_a_reference(
    arena: Arena,
    take: Take,
    give: Callable[[mm.Page], None],
    give_all: Callable[[list[mm.Page]], None],
) -> None:
    vma, look = map_new(arena)
    pages = take(vma, 4, 5)
    assert pages == vma.pages[4:9]
    assert {mm.page_to_scamem(page) for page in pages} == {look}
    assert look.refcount == 6 == mm.page_count(pages[0])
    mm.munmap(vma)
    assert look.refcount == 5
    give(pages[2])
    assert look.refcount == 4
    with pytest.raises(scamem.PageNotHeldError, match="already dropped") as caught:
        give_all(pages)
    assert caught.value.pfn == pages[2].pfn
    assert look.refcount == 4  # nothing is half done
    give_all([pages[4], pages[0], pages[3]])
    assert look.refcount == 1
    with pytest.raises(scamem.PageNotHeldError):
        give_all([pages[1], pages[1]])
    assert look.refcount == 1
    give(pages[1])
    assert look.freed
    assert mm.page_to_scamem(pages[1]) is None
    assert mm.page_count(pages[1]) == 0
    with pytest.raises(scamem.PageNotHeldError):
        give(pages[1])


def test_kinds_are_not_mixed(arena: Arena) -> None:
    vma, look = map_new(arena)
    (got,), (pinned,) = mm.get_user_pages(vma, 0, 1), mm.pin_user_pages(vma, 0, 1)
    assert got == pinned
    assert len({got, pinned}) == 1
    with pytest.raises(scamem.PageNotHeldError, match=r"by put_page\(\)"):
        mm.unpin_user_pages([pinned, got])
    with pytest.raises(scamem.PageNotHeldError, match=r"by unpin_user_page\(\)"):
        mm.put_page(pinned)
    assert look.refcount == 3
    mm.put_page(got)
    mm.unpin_user_page(pinned)
    mm.munmap(vma)


@pytest.mark.parametrize("take", [mm.get_user_pages, mm.pin_user_pages])
def test_outside_a_vma(arena: Arena, take: Take) -> None:
    vma, look = map_new(arena)
    for start, nr in ((-1, 2), (0, 11), (9, 2), (11, 1)):
        with pytest.raises(IndexError, match="10 frames"):
            take(vma, start, nr)
    assert take(vma, 3, 0) == []
    assert look.refcount == 1
    mm.munmap(vma)
    with pytest.raises(scamem.ClosedError, match="before munmap"):
        take(vma, 0, 1)


def test_pages_of_several_scamems(arena: Arena) -> None:
    one, two = mm.vmalloc(arena, 2 * PAGE), mm.vmalloc(arena, 2 * PAGE)
    area = mm.vmap(arena, [*one.pages, *two.pages, one.pages[1]])
    vma, looks = mm.remap_vmalloc_range(area), area.scamems
    pages = mm.pin_user_pages(vma, 1, 4)
    assert [mm.page_to_scamem(page) for page in pages] == [looks[k] for k in (0, 1, 1, 0)]
    for made in (one, two):
        mm.vfree(made)
    mm.vunmap(area)
    mm.munmap(vma)
    assert [look.refcount for look in looks] == [2, 2]
    mm.unpin_user_pages(pages[1:3])
    assert [look.refcount for look in looks] == [2, 0]
    mm.unpin_user_pages([pages[0], pages[3]])
    assert arena.objects() == []


def test_pinned_for_io_until_the_last_pin_of_a_call(arena: Arena) -> None:
    vma, look = map_new(arena)
    first, second = mm.pin_user_pages(vma, 0, 3), mm.pin_user_pages(vma, 0, 3)

    def counts() -> tuple[int, int]:
        (holder,) = look.holders
        return holder.io_pins, holder.pins

    assert counts() == (2, 4)
    mm.unpin_user_pages(first[:2])
    assert counts() == (2, 2)
    mm.unpin_user_page(first[2])
    assert counts() == (1, 2)
    mm.unpin_user_pages(reversed(second))
    assert counts() == (0, 0)
    mm.munmap(vma)


def test_more_pins_than_an_io_count_holds(arena: Arena) -> None:
    vma, look = map_new(arena)
    pages = [page for _ in range(6600) for page in mm.pin_user_pages(vma)]
    assert look.refcount == 66_001
    mm.unpin_user_pages(pages)
    assert look.refcount == 1
    mm.munmap(vma)


def test_get_page_and_put_page_count(arena: Arena) -> None:
    area = mm.vmalloc(arena, PAGE)
    page = mm.vmalloc_to_page(area)
    with pytest.raises(scamem.PageNotHeldError, match="never held"):
        mm.put_page(page)
    mm.get_page(page)
    mm.get_page(page)
    assert mm.page_count(page) == 3
    mm.vfree(area)
    mm.put_page(page)
    assert mm.page_count(page) == 1
    mm.put_page(page)
    with pytest.raises(scamem.StaleHandleError, match="free"):
        mm.get_page(page)
    with pytest.raises(scamem.StaleHandleError, match="free"):
        mm.kmap_local_page(page)
    assert mm.page_to_nid(page) == 0  # a free page has a node all the same


def test_dropped_pages_give_their_references_back(arena: Arena) -> None:
    vma, look = map_new(arena)
    pages = mm.get_user_pages(vma, 0, 3) + mm.pin_user_pages(vma, 0, 3)
    assert look.refcount == 7
    del pages[0], pages[-1]
    assert look.refcount == 5
    cycle = [pages]
    cycle.append(cycle)  # type: ignore[arg-type]  # found by the collector alone
    del pages, cycle
    gc.collect()
    assert look.refcount == 1
    mm.munmap(vma)


def test_one_of_many_threads_puts(arena: Arena) -> None:
    vma, look = map_new(arena)
    pages = mm.get_user_pages(vma) * 8
    refused = []
    start = threading.Barrier(4)

    def put() -> None:
        start.wait()
        for page in pages:
            try:
                mm.put_page(page)
            except scamem.PageNotHeldError:
                refused.append(page)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 4 * len(pages) - PAGES
    assert look.refcount == 1
    mm.munmap(vma)


def test_kmap_is_a_reference(arena: Arena) -> None:
    page = mm.alloc_page(arena)
    look = mm.page_to_scamem(page)
    assert look is not None
    data = mm.kmap_local_page(page)
    data[:5] = b"hello"
    assert look.refcount == 2
    mm.free_page(page)
    assert bytes(data[:5]) == b"hello"
    assert look.refcount == 1
    mm.kunmap_local(data)
    assert look.freed
    mm.kunmap_local(data)


# --- the page allocator --------------------------------------------------------------------------


def test_pages_side_by_side(arena: Arena) -> None:
    pages = [mm.alloc_pages(arena, order) for order in range(6)]
    for order, page in enumerate(pages):
        look = mm.page_to_scamem(page)
        assert look is not None
        assert (look.nr, look.refcount) == (1 << order, 1)
        assert [other.pfn for other in look.pages] == [page.pfn + k for k in range(1 << order)]
    with pytest.raises(ValueError, match="with order 3"):
        mm.free_pages(pages[3], 2)
    for order, page in enumerate(pages):
        mm.free_pages(page, order)
        with pytest.raises(scamem.PageNotHeldError):
            mm.free_pages(page, order)
    assert arena.objects() == []


def test_pages_that_others_hold_are_not_freed(arena: Arena) -> None:
    page = mm.alloc_pages(arena, 1)
    area = mm.vmap(arena, [page])
    mm.free_pages(page, 1)
    assert area.scamem.refcount == 1
    mm.vunmap(area)
    assert mm.page_to_scamem(page) is None


def test_alloc_pages_refused(arena: Arena) -> None:
    for order in (-1, 21):
        with pytest.raises(ValueError, match="order"):
            mm.alloc_pages(arena, order)
    with pytest.raises(ValueError, match="not from alloc_pages"):
        mm.free_page(mm.pfn_to_page(arena, 0))
    with Arena.create(capacity=8 << 20) as small:
        kept = scatter(small)
        with pytest.raises(scamem.OutOfMemoryError, match="side by side") as caught:
            mm.alloc_pages(small, 3)
        assert caught.value.limit == "fragmentation"
        mm.free_pages(mm.alloc_pages(small, 2), 2)
        assert len(small.objects()) == len(kept)
        del kept


# --- numbers -------------------------------------------------------------------------------------


def test_page_to_everything(arena: Arena) -> None:
    area = mm.vmalloc(arena, PAGE)
    page = mm.vmalloc_to_page(area)
    assert mm.page_to_pfn(page) == page.pfn == mm.vmalloc_to_pfn(area)
    assert mm.pfn_to_page(arena, page.pfn) == page
    last = mm.pfn_to_page(
        arena, arena._seat.geometry.frames - 1
    )  # offline: nothing asked for it yet
    for each in (page, last):
        assert mm.page_to_nid(each) == arena.page_to_nid(each.pfn)
        assert mm.page_zone(each) == arena.page_zone(each.pfn)
        assert mm.page_to_section(each) == arena.page_to_section(each.pfn)
    assert mm.page_to_scamem(page) == area.scamem
    assert mm.page_to_scamem(last) is None
    assert mm.pfn_valid(arena, last.pfn)
    assert not mm.pfn_valid(arena, last.pfn + 1)
    for pfn in (-1, last.pfn + 1):
        with pytest.raises(IndexError):
            mm.pfn_to_page(arena, pfn)
    assert mm.page_address(page) == arena._seat.direct_address + page.pfn * PAGE
    assert repr(page) == f"<page pfn:{page.pfn:#x} node:0 zone:NORMAL>"
    with Arena.create(capacity=8 << 20) as other:
        assert mm.pfn_to_page(other, page.pfn) != page
    mm.vfree(area)


@pytest.mark.parametrize("take", [mm.get_user_pages, mm.pin_user_pages])
def test_pickled_page_is_a_reference_of_its_own(arena: Arena, take: Take) -> None:
    vma, look = map_new(arena)
    pages = take(vma, 2, 2)
    data = pickle.dumps(pages)
    mm.munmap(vma)
    arrived = pickle.loads(data)
    assert arrived == pages
    assert look.refcount == 4
    for page in pages + arrived:
        (mm.put_page if take is mm.get_user_pages else mm.unpin_user_page)(page)
    assert look.freed
    with pytest.raises(scamem.StaleHandleError):
        pickle.loads(data)
    (plain,) = pickle.loads(pickle.dumps(arrived[:1]))
    assert plain == arrived[0]
    with pytest.raises(scamem.PageNotHeldError):
        mm.put_page(plain)
