"""VMAs: mapped, unmapped in parts, looked up."""

from __future__ import annotations

import numpy as np
import pytest

import scamem
from scamem import Arena, mm
from scamem.address_space import map as mapping
from scamem.backing import system
from tests.death.nursery import Nursery
from tests.mm.witness import PAGE, frames_mapped_at, is_mapped, is_unmapped

PAGES = 10


def make(arena: Arena) -> tuple[mm.vm_area_struct, mm.ScamemLook]:
    """A VMA of ten pages, each filled with its number, as the only reference to its scamem."""
    area = mm.vmalloc(arena, PAGES * PAGE)
    np.frombuffer(area.view(), np.uint8)[:] = np.repeat(np.arange(PAGES), PAGE)
    vma = mm.remap_vmalloc_range(area)
    look = area.scamem
    mm.vfree(area)
    assert look.refcount == 1
    return vma, look


def contents(vma: mm.vm_area_struct) -> list[int]:
    data = np.frombuffer(vma.view(), np.uint8).reshape(-1, PAGE)
    assert (data == data[:, :1]).all()
    return [int(number) for number in data[:, 0]]


def test_mapping_is_a_reference(arena: Arena) -> None:
    area = mm.vmalloc(arena, PAGES * PAGE)
    vma = mm.remap_vmalloc_range(area)
    assert vma.vm_end - vma.vm_start == PAGES * PAGE
    assert mm.vma_pages(vma) == PAGES
    assert vma.pages == area.pages
    assert vma.scamems == [area.scamem]
    assert vma.vm_start != area.addr
    assert area.scamem.refcount == 2
    start = vma.vm_start
    assert is_mapped(start, PAGES)
    assert mm.munmap(vma) == []
    assert is_unmapped(start, PAGES)
    assert area.scamem.refcount == 1
    assert repr(vma) == "<vm_area_struct, unmapped>"
    for use in (lambda: mm.munmap(vma), lambda: vma.vm_start, lambda: mm.get_user_pages(vma)):
        with pytest.raises(scamem.ClosedError):
            use()
    mm.vfree(area)


def test_of_a_scamem_in_hand_and_of_a_look(arena: Arena) -> None:
    with arena.alloc(PAGES * PAGE) as obj:
        vma = mm.remap_vmalloc_range(obj, pgoff=2, nr=3)
        assert [page.pfn for page in vma.pages] == obj.pages[2:5].tolist()
        other = mm.remap_vmalloc_range(vma.scamems[0])
        assert obj.refcount == 3
    with pytest.raises(scamem.ClosedError):
        mm.remap_vmalloc_range(obj)
    mm.munmap(vma)
    assert other.scamems[0].refcount == 1
    mm.munmap(other)


def test_parts_outside(arena: Arena) -> None:
    area = mm.vmalloc(arena, PAGES * PAGE)
    with arena.page_to_scamem(area.pages[0].pfn) as obj:  # type: ignore[union-attr]  # it is there
        for what in (area, obj, area.scamem):
            for pgoff, nr in ((-1, 2), (8, 3), (11, None)):
                with pytest.raises(IndexError, match="10"):
                    mm.remap_vmalloc_range(what, pgoff=pgoff, nr=nr)
            with pytest.raises(ValueError, match="no pages"):
                mm.remap_vmalloc_range(what, nr=0)
    assert area.scamem.refcount == 1
    mm.vfree(area)


def test_read_only(arena: Arena) -> None:
    area = mm.vmalloc(arena, PAGES * PAGE)
    vma = mm.remap_vmalloc_range(area, writable=False)
    assert vma.vm_flags == mm.VM_READ | mm.VM_SHARED
    assert vma.view().readonly
    assert frames_mapped_at(vma.vm_start) == "r--s"
    area.view()[0] = 9
    assert vma.view()[0] == 9
    mm.munmap(vma)
    mm.vfree(area)


@pytest.mark.parametrize(
    ("start", "nr", "left"),
    [
        (0, 3, [[3, 4, 5, 6, 7, 8, 9]]),
        (7, None, [[0, 1, 2, 3, 4, 5, 6]]),
        (7, 3, [[0, 1, 2, 3, 4, 5, 6]]),
        (4, 2, [[0, 1, 2, 3], [6, 7, 8, 9]]),
        (0, 9, [[9]]),
        (1, 9, [[0]]),
    ],
)
def test_parts_are_unmapped(
    arena: Arena, start: int, nr: int | None, left: list[list[int]]
) -> None:
    vma, look = make(arena)
    pages, first = vma.pages, vma.vm_start
    found = mm.munmap(vma, start, nr)
    assert found[0] is vma
    assert [contents(part) for part in found] == left
    assert [[pages[k] for k in part] for part in left] == [part.pages for part in found]
    assert look.refcount == len(left)  # a VMA that splits takes a reference, as in the kernel
    shown = {number for part in left for number in part}
    for number in range(PAGES):
        there = frames_mapped_at(first + number * PAGE) != ""
        assert there == (number in shown)
        assert (mm.vma_lookup(first + number * PAGE) is not None) == there
    for part in found:
        mm.munmap(part)
    assert look.freed


def test_split_into_single_pages(arena: Arena) -> None:
    vma, look = make(arena)
    parts = [vma]
    for _ in range(4):
        *before, last = parts
        parts = [*before, *mm.munmap(last, 1, 1)]
    assert [contents(part) for part in parts] == [[0], [2], [4], [6], [8, 9]]
    assert look.refcount == 5
    pages = mm.get_user_pages(parts[4])
    for part in parts:
        mm.munmap(part)
    assert look.refcount == 2
    mm.release_pages(pages)
    assert look.freed
    assert arena.check() == []


def test_outside_a_vma(arena: Arena) -> None:
    vma, look = make(arena)
    for start, nr in ((-1, 1), (0, 11), (10, 1), (5, 6)):
        with pytest.raises(IndexError, match="10 frames"):
            mm.munmap(vma, start, nr)
    with pytest.raises(ValueError, match="no frames"):
        mm.munmap(vma, 3, 0)
    assert (contents(vma), look.refcount) == (list(range(PAGES)), 1)
    mm.munmap(vma)


def test_part_of_several_scamems(arena: Arena) -> None:
    one, two = mm.vmalloc(arena, PAGES * PAGE), mm.vmalloc(arena, PAGES * PAGE)
    area = mm.vmap(arena, [*one.pages[:2], *two.pages[:2], one.pages[0]])
    vma = mm.remap_vmalloc_range(area)
    looks = area.scamems
    mm.vunmap(area)
    assert [look.refcount for look in looks] == [2, 2]
    (before, behind) = mm.munmap(vma, 1, 2)
    assert before.scamems == looks[:1]
    assert behind.scamems == [looks[1], looks[0]]
    assert [look.refcount for look in looks] == [3, 2]
    mm.munmap(behind, 0, 1)
    assert behind.scamems == looks[:1]
    assert [look.refcount for look in looks] == [3, 1]
    for part in (before, behind):
        mm.munmap(part)
    mm.vfree(one)
    mm.vfree(two)


def test_buffers_over_parts(arena: Arena) -> None:
    vma, look = make(arena)
    data = np.frombuffer(vma.view(6, 2), np.uint8)
    for start, nr in ((0, None), (7, 1), (5, 2), (7, None)):
        with pytest.raises(scamem.ViewInUseError):
            mm.munmap(vma, start, nr)
    (before, behind) = mm.munmap(vma, 2, 3)
    mm.munmap(before)
    with pytest.raises(scamem.ViewInUseError):
        mm.munmap(behind)
    assert data[0] == 6
    mm.munmap(behind, 0, 1)
    del vma, before, behind
    assert data[PAGE] == 7
    assert look.refcount == 1  # the buffer keeps its part, and so its reference
    del data
    assert look.freed


def test_what_munmap_split_off_is_still_mapped(arena: Arena) -> None:
    vma, look = make(arena)
    end = vma.vm_end
    mm.munmap(vma, 4, 2)
    behind = mm.vma_lookup(end - 1)
    assert behind is not None
    assert contents(behind) == [6, 7, 8, 9]
    assert look.refcount == 2
    del vma
    assert contents(behind) == [6, 7, 8, 9]
    assert look.refcount == 1
    del behind
    assert look.freed


def test_find_vma(arena: Arena) -> None:
    vma, _ = make(arena)
    (before, behind) = mm.munmap(vma, 4, 2)
    assert mm.find_vma(before.vm_start) is before
    assert mm.find_vma(before.vm_end) is behind  # the next one, as in the kernel
    assert mm.vma_lookup(before.vm_end) is None
    assert mm.vma_lookup(behind.vm_end - 1) is behind
    last = behind.vm_end
    mm.munmap(before)
    assert mm.find_vma(behind.vm_start - PAGE) is behind
    mm.munmap(behind)
    assert mm.vma_lookup(last - 1) is None


def test_is_not_pickled(arena: Arena) -> None:
    import pickle

    vma, _ = make(arena)
    with pytest.raises(TypeError, match="address space"):
        pickle.dumps(vma)
    mm.munmap(vma)


def hole_without_a_mapping_left() -> tuple[str, str, list[int], int, int]:
    """All mappings of the process are used up; then there is room again."""
    arena = Arena.create(capacity=8 << 20)
    vma, look = make(arena)
    budget = mapping.budget.left()
    flags = system.MAP_PRIVATE | system.MAP_ANONYMOUS | system.MAP_NORESERVE
    length = 80_000 * PAGE
    space = system.mmap(None, length, system.PROT_READ, flags, -1, 0)
    limit = ""
    try:
        for number in range(0, 80_000, 2):
            system.mprotect(space + number * PAGE, PAGE, 0)
    except OSError:
        try:
            mm.munmap(vma, 4, 2)
        except scamem.OutOfMemoryError as error:
            limit = error.limit
    system.munmap(space, length)
    whole = contents(vma)
    mm.munmap(vma, 4, 2)
    refcount = look.refcount
    return limit, repr(len(whole)), contents(vma), refcount, budget - mapping.budget.left()


def test_no_mapping_left_for_a_hole(nursery: Nursery) -> None:
    with open("/proc/sys/vm/max_map_count") as file:
        if int(file.read()) > 70_000:
            pytest.skip("vm.max_map_count is raised: too many mappings to use up")
    limit, whole, left, refcount, more = nursery.run(hole_without_a_mapping_left)
    assert (limit, whole) == ("vm.max_map_count", "10")
    assert left == [0, 1, 2, 3]
    assert refcount == 2
    assert more <= 1
