"""vmalloc and vmap: what an area shows, and the references that it is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

import scamem
from scamem import Arena, mm
from tests.mm.witness import PAGE, is_mapped, is_unmapped, scatter

SIZE = 10 * PAGE


def test_area_is_one_reference(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE - 1)
    assert (area.size, area.nr_pages, len(area.pages)) == (SIZE, 10, 10)
    assert mm.get_vm_area_size(area) == SIZE
    look = area.scamem
    assert (look.nr, look.refcount) == (10, 1)
    assert look.pages == area.pages
    assert [holder.mappings for holder in look.holders] == [1]
    address = area.addr
    assert is_mapped(address, 10)
    mm.vfree(area)
    assert is_unmapped(address, 10)
    assert look.freed
    assert look.refcount == 0
    assert arena.objects() == []


def test_area_shows_its_pages(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    np.frombuffer(area.view(), np.uint8)[:] = np.repeat(np.arange(10), PAGE)
    for number, page in enumerate(area.pages):
        with mm.kmap_local_page(page) as data:
            assert set(data) == {number}
        assert mm.vmalloc_to_page(area, number * PAGE) == page
        assert mm.vmalloc_to_page(area, number * PAGE + PAGE - 1) == page
        assert mm.vmalloc_to_page(area.addr + number * PAGE, 1) == page
        assert mm.vmalloc_to_pfn(area, number * PAGE) == page.pfn
    assert set(area.view(3, 1)) == {3}
    assert area.scamem.refcount == 1  # neither pages nor buffers hold anything
    mm.vfree(area)


def test_scattered_frames_are_one_area(arena: Arena) -> None:
    with Arena.create(capacity=8 << 20) as small:
        kept = scatter(small)
        kept[0].close()
        area = mm.vzalloc(small, small.stats().frames_free * PAGE)
        numbers = [page.pfn for page in area.pages]
        assert sum(after != before + 1 for before, after in pairwise(numbers)) > 100
        data = np.frombuffer(area.view(), np.uint8)
        assert not data.any()
        data[::PAGE] = np.arange(len(numbers)) % 251
        for number, page in enumerate(area.pages):
            with mm.kmap_local_page(page) as bytes_of_page:
                assert bytes_of_page[0] == number % 251
        del data
        mm.vfree(area)
        del kept
        assert small.check() == []


def test_vzalloc_gives_zeros(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    np.frombuffer(area.view(), np.uint8)[:] = 7
    pages = area.pages
    mm.vfree(area)
    area = mm.vzalloc(arena, SIZE)
    assert area.pages == pages  # the very frames
    assert not any(area.view())
    mm.vfree(area)


@pytest.mark.parametrize("size", [0, -1])
def test_bad_sizes(arena: Arena, size: int) -> None:
    with pytest.raises(ValueError, match="one page is the least"):
        mm.vmalloc(arena, size)
    with pytest.raises(TypeError):
        mm.vmalloc(arena, 1.5)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(scamem.OutOfMemoryError):
        mm.vmalloc(arena, arena.capacity + 1)


def test_nodes_and_zones_go_through(arena: Arena) -> None:
    area = mm.vmalloc_node(arena, SIZE, 0)
    assert {mm.page_to_nid(page) for page in area.pages} == {0}
    assert {mm.page_zone(page) for page in area.pages} == {"NORMAL"}
    mm.vfree(area)
    with pytest.raises(ValueError):
        mm.vmalloc(arena, SIZE, zone="NO SUCH ZONE")


def test_freed_twice(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    mm.vfree(area)
    assert repr(area) == "<vm_struct, vmalloc, freed>"
    uses: list[Callable[[], object]] = [
        lambda: mm.vfree(area),
        lambda: mm.vmalloc_to_page(area),
        lambda: mm.remap_vmalloc_range(area),
        lambda: area.addr,
        lambda: area.size,
        lambda: area.scamem,
        area.view,
    ]
    for use in uses:
        with pytest.raises(scamem.ClosedError):
            use()


def test_wrong_pairs(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    other = mm.vmap(arena, area.pages[:2])
    with pytest.raises(ValueError, match=r"use vfree\(\)"):
        mm.vunmap(area)
    with pytest.raises(ValueError, match=r"use vunmap\(\)"):
        mm.vfree(other)
    assert area.scamem.refcount == 2
    mm.vunmap(other)
    mm.vfree(area)


def test_buffers_keep_an_area_from_being_freed(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    data = np.ndarray((SIZE,), np.uint8, area.view())  # keeps no export, only a base
    with pytest.raises(scamem.ViewInUseError, match=r"1 buffer \(") as caught:
        mm.vfree(area)
    assert isinstance(caught.value, BufferError)
    data[:] = 1
    del data, caught
    mm.vfree(area)


def test_offsets_outside(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    for offset in (-1, SIZE):
        with pytest.raises(IndexError, match="40,960 bytes"):
            mm.vmalloc_to_page(area, offset)
    with pytest.raises(ValueError, match="no area"):
        mm.vmalloc_to_page(area.addr - PAGE)
    mm.vfree(area)


def test_dropped_without_vfree(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    address = area.addr
    data = area.view()
    del area
    data[0] = 1  # the buffer keeps it
    assert len(arena.objects()) == 1
    data.release()
    del data
    assert is_unmapped(address, 10)
    assert arena.objects() == []


# --- looks ---------------------------------------------------------------------------------------


def test_looks_are_equal_for_one_object(arena: Arena) -> None:
    area, other = mm.vmalloc(arena, SIZE), mm.vmalloc(arena, SIZE)
    look = area.scamem
    assert look == mm.page_to_scamem(mm.vmalloc_to_page(area, PAGE)) == area.scamem
    assert len({look, area.scamem, other.scamem}) == 2
    assert look != other.scamem
    mm.vfree(other)
    mm.vfree(area)
    again = mm.vmalloc(arena, SIZE)
    while again.scamem.index != look.index:  # the record is used again, by another object
        again = mm.vmalloc(arena, SIZE)
    assert again.scamem != look
    assert look.freed
    assert repr(look) == f"<scamem {look.index}, freed>"
    assert look.holders == []
    for use in (lambda: look.nr, lambda: look.pages, lambda: mm.remap_vmalloc_range(look)):
        with pytest.raises(scamem.StaleHandleError):
            use()
    mm.vfree(again)


def test_scamem_in_hand_is_another_reference(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    obj = arena.page_to_scamem(area.pages[0].pfn)
    assert obj is not None
    look = area.scamem
    assert look.refcount == 2
    mm.vfree(area)
    assert (look.refcount, look.nr) == (1, 10)  # it goes at zero, not with its vm_struct
    obj.close()
    assert look.freed


# --- vmap ----------------------------------------------------------------------------------------


def test_vmap_of_several_scamems_and_a_page_twice(arena: Arena) -> None:
    one, two = mm.vmalloc(arena, SIZE), mm.vmalloc(arena, SIZE)
    pages = [one.pages[3], two.pages[0], one.pages[3], two.pages[1]]
    area = mm.vmap(arena, pages)
    assert area.pages == pages
    assert area.scamems == [one.scamem, two.scamem]
    assert [look.refcount for look in area.scamems] == [2, 2]
    with pytest.raises(ValueError, match="2 scamems"):
        _ = area.scamem
    data = np.frombuffer(area.view(), np.uint8)
    data[5] = 77
    assert data[2 * PAGE + 5] == 77
    assert one.view(3, 1)[5] == 77
    looks = area.scamems
    mm.vfree(one)
    mm.vfree(two)
    data[PAGE] = 1
    assert data[5] == 77
    assert [look.refcount for look in looks] == [1, 1]
    vma = mm.remap_vmalloc_range(area)
    assert [look.refcount for look in looks] == [2, 2]
    assert vma.view(2, 1)[5] == 77
    del data
    mm.vunmap(area)
    assert vma.view(0, 1)[5] == 77
    mm.munmap(vma)
    assert [look.refcount for look in looks] == [0, 0]


def test_vmap_of_pages_by_number(arena: Arena) -> None:
    page = mm.alloc_pages(arena, 2)
    pages = [mm.pfn_to_page(arena, page.pfn + k) for k in reversed(range(4))]
    area = mm.vmap(arena, pages)
    mm.free_pages(page, 2)
    assert area.scamem.refcount == 1
    mm.vunmap(area)
    assert arena.objects() == []


def test_vmap_refused(arena: Arena) -> None:
    area = mm.vmalloc(arena, SIZE)
    pages = area.pages
    free = mm.pfn_to_page(arena, max(page.pfn for page in pages) + 1)
    with pytest.raises(scamem.StaleHandleError, match="free"):
        mm.vmap(arena, [pages[0], free])
    with pytest.raises(ValueError, match="no pages"):
        mm.vmap(arena, [])
    with Arena.create(capacity=8 << 20) as other:
        page = mm.alloc_page(other)
        with pytest.raises(ValueError, match="another arena"):
            mm.vmap(arena, [pages[0], page])
        mm.free_page(page)
    assert area.scamem.refcount == 1
    mm.vfree(area)


def test_find_vm_area(arena: Arena) -> None:
    areas = [mm.vmalloc(arena, SIZE) for _ in range(3)]
    for area in areas:
        assert mm.find_vm_area(area.addr) is area
        assert mm.find_vm_area(area.addr + SIZE - 1) is area
        assert mm.is_vmalloc_addr(area.addr)
        assert not mm.is_vmalloc_addr(mm.page_address(area.pages[0]))
    address = areas[0].addr
    for area in areas:
        mm.vfree(area)
    assert mm.find_vm_area(address) is None
