"""The mail's story in several processes, any of which may be killed."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena, mm
from scamem.backing import system
from tests.backing.children import Talk, raw_fork
from tests.death.nursery import Nursery
from tests.mm.witness import PAGE, is_mapped

PAGES = 16
ROUNDS = 25


def use(talk: Talk) -> None:
    """A process that maps what it is sent, takes pages, and gives up what it is told to."""
    obj: scamem.Scamem = talk.hear()
    assert isinstance(obj, scamem.Scamem)
    vma = mm.remap_vmalloc_range(obj)
    obj.close()
    np.frombuffer(vma.view(), np.uint8)[:] += 1
    pages = mm.pin_user_pages(vma, 4, 8)
    talk.say(sorted(page.pfn for page in pages))
    for order in iter(talk.hear, "end"):
        if order == "munmap":
            mm.munmap(vma)
        elif order == "split":
            parts = mm.munmap(vma, 6, 2)
            assert len(parts) == 2
            talk.say()
            talk.hear()  # both are there until it is killed
        elif order == "unpin":
            mm.unpin_user_pages(pages)
        elif order == "send":
            talk.say(pages)
            continue
        talk.say()


def start(arena: Arena, nursery: Nursery) -> tuple[mm.vm_struct, Any]:
    """An area full of ones, and a process that has mapped it and pinned eight of its pages."""
    area = mm.vmalloc(arena, PAGES * PAGE)
    np.frombuffer(area.view(), np.uint8)[:] = 1
    user = nursery.start(use)
    user.say(area)
    pfns = user.hear()
    assert pfns == sorted(page.pfn for page in area.pages[4:12])
    return area, user


def order(user: Any, what: str) -> Any:
    user.say(what)
    return user.hear()


def test_the_mails_life_cycle(arena: Arena, nursery: Nursery) -> None:
    """vmalloc, map elsewhere, GUP there, vfree, munmap, kill, unpin."""
    free = arena.stats().frames_free
    area, user = start(arena, nursery)
    with user:
        look = area.scamem
        assert set(area.view()) == {2}
        assert {(h.pid, h.mappings, h.pins + h.io_pins) for h in look.holders} == {
            (os.getpid(), 1, 0),
            (user.pid, 1, 8),
        }
        pages = order(user, "send")
        assert look.refcount == 1 + 1 + 8 + 8
        mm.vfree(area)
        assert look.refcount == 1 + 8 + 8
        order(user, "munmap")
        assert look.refcount == 8 + 8
        user.kill()
        assert look.refcount == 8
        with mm.kmap_local_page(pages[0]) as data:
            assert set(data) == {2}
        mm.unpin_user_pages(pages[1:])
        assert look.refcount == 1
        mm.unpin_user_pages(pages[:1])
        assert look.freed
    assert arena.objects() == []
    assert arena.stats().frames_free >= free
    assert arena.check() == []


@pytest.mark.parametrize("orders", [[], ["munmap"], ["unpin"], ["unpin", "munmap"], ["split"]])
def test_user_is_killed_anywhere(arena: Arena, nursery: Nursery, orders: list[str]) -> None:
    area, user = start(arena, nursery)
    with user:
        look = area.scamem
        for what in orders:
            order(user, what)
        expected = 2 - orders.count("munmap") + 8 * (1 - orders.count("unpin"))
        assert look.refcount == expected + orders.count("split")
        user.kill()
        assert look.refcount == 1
        assert set(area.view()) == {2}
        mm.vfree(area)
        assert look.freed
    assert arena.check() == []


def own(talk: Talk, path: str) -> None:
    """A process that owns areas of every kind, and is killed with them."""
    arena = Arena.join(path)
    area, other = mm.vmalloc(arena, PAGES * PAGE), mm.vmalloc(arena, PAGES * PAGE)
    np.frombuffer(area.view(), np.uint8)[:] = 5
    stitched = mm.vmap(arena, [*area.pages, *other.pages])
    block = mm.alloc_pages(arena, 3)
    pages = mm.get_user_pages(mm.remap_vmalloc_range(stitched))
    talk.say((area, pages[3]))
    talk.hear()
    mm.vunmap(stitched)
    mm.free_pages(block, 3)


def test_owner_is_killed(nursery: Nursery, place: Any) -> None:
    """A vm_struct ends with its owner: nobody could find it again, so it would be a leak."""
    with Arena.create(str(place / "a"), capacity=64 << 20) as arena:
        with nursery.start(own, arena.path) as owner:
            obj, page = owner.hear()
            assert len(arena.objects()) == 3
            owner.kill()
            (info,) = arena.objects()
            assert (info.index, info.refcount) == (obj.index, 2)
            vma = mm.remap_vmalloc_range(obj)
            obj.close()
            assert set(vma.view()) == {5}
            assert vma.pages[3] == page
            mm.munmap(vma)
            mm.put_page(page)
        assert arena.objects() == []
        assert arena.check() == []


def send_and_die(talk: Talk, path: str) -> None:
    arena = Arena.join(path)
    talk.say(mm.vzalloc(arena, PAGES * PAGE))


def test_area_outlives_its_owner_on_its_way(nursery: Nursery, place: Any) -> None:
    with Arena.create(str(place / "a"), capacity=64 << 20) as arena:
        with nursery.start(send_and_die, arena.path) as owner:
            owner.wait()
            obj = owner.hear()
        vma = mm.remap_vmalloc_range(obj)
        obj.close()
        assert not any(vma.view())
        mm.munmap(vma)
        assert arena.objects() == []


def test_area_of_several_scamems_is_not_sent(arena: Arena, nursery: Nursery) -> None:
    one, two = mm.vmalloc(arena, PAGE), mm.vmalloc(arena, PAGE)
    area = mm.vmap(arena, [*one.pages, *two.pages])
    with nursery.start(use) as user, pytest.raises(ValueError, match="2 scamems"):
        user.say(area)
    mm.vunmap(area)
    mm.vfree(one)
    mm.vfree(two)
    assert arena.loans() == []


# --- fork ----------------------------------------------------------------------------------------


def fork_with_everything() -> tuple[int, int, int, int]:
    """The child has areas, VMAs and pages of its own, and its own ends leave the parent's alone."""
    arena = Arena.create(capacity=16 << 20)
    area = mm.vzalloc(arena, PAGES * PAGE)
    vma = mm.remap_vmalloc_range(area)
    look = area.scamem
    pages = mm.pin_user_pages(vma, 0, 4)
    before, behind = mm.munmap(vma, 4, 2)
    read, write = os.pipe()
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        assert is_mapped(before.vm_start, 4)
        assert is_mapped(behind.vm_start, PAGES - 6)
        np.frombuffer(behind.view(), np.uint8)[:] = 9
        os.write(write, bytes([look.refcount]))
        mm.vfree(area)
        mm.munmap(behind, 2, 2)
        mm.unpin_user_pages(pages)
        os.write(write, bytes([look.refcount]))
        os.read(told, 1)
        os._exit(0)
    seen = os.read(read, 1) + os.read(read, 1)
    os.write(tell, b"g")
    status = os.waitpid(pid, 0)[1]
    assert set(area.view(6)) == {9}
    left = look.refcount
    mm.unpin_user_pages(pages)
    mm.vfree(area)
    for part in (before, behind):
        mm.munmap(part)
    assert arena.check() == []
    return status, seen[0], seen[1], left + len(arena.objects())


def test_child_has_references_of_its_own(nursery: Nursery) -> None:
    both = 2 * (1 + 2 + 4)
    # The child freed the area, unpinned four pages, and split one of its two VMAs.
    assert nursery.run(fork_with_everything) == (0, both, both - 5 + 1, both // 2)


def splitters(arena: Arena, stop: threading.Event, failed: list[BaseException]) -> None:
    """Map, split and unmap in every order, as fast as it goes."""
    area = mm.vzalloc(arena, PAGES * PAGE)
    number = 0
    try:
        while not stop.is_set():
            vma = mm.remap_vmalloc_range(area)
            number += 1
            parts = mm.munmap(vma, 1 + number % 7, 1 + number % 5)
            assert len(parts) == 2
            mm.munmap(parts[number % 2], 0, 1)
            pages = mm.get_user_pages(parts[1], 0, 1)
            for part in parts:
                if part.mapped.nbytes:
                    mm.munmap(part)
            mm.release_pages(pages)
        mm.vfree(area)
    except BaseException as error:  # noqa: BLE001 - the main thread raises it
        failed.append(error)


def look_at_everything() -> None:
    """Every VMA that this process knows is mapped, all of it, and can be read."""
    address = 0
    while (vma := mm.find_vma(address)) is not None:
        assert is_mapped(vma.vm_start, vma.nr_pages), vma
        assert not any(vma.view())
        address = vma.vm_end


def fork_among_splits() -> list[int]:
    arena = Arena.create(capacity=16 << 20)
    stop, failed = threading.Event(), list[BaseException]()
    threads = [threading.Thread(target=splitters, args=(arena, stop, failed)) for _ in range(2)]
    for thread in threads:
        thread.start()
    statuses = []
    for _ in range(ROUNDS):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                look_at_everything()
                again = os.fork()
                if again == 0:
                    look_at_everything()
                    os._exit(0)
                status = os.waitpid(again, 0)[1]
            finally:
                os._exit(status and 1)
        statuses.append(os.waitpid(pid, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    assert arena.objects() == []
    assert arena.check() == []
    return statuses


def test_child_of_any_moment_has_what_its_vmas_say(nursery: Nursery) -> None:
    """Other threads split and unmap while this one forks; the child looks at all it inherited."""
    assert nursery.run(fork_among_splits) == [0] * ROUNDS


def stray_mappings() -> list[int]:
    """What was unmapped is a stranger's address space: no fork closes it to later children."""
    arena = Arena.create(capacity=16 << 20)
    area = mm.vzalloc(arena, PAGES * PAGE)
    vma = mm.remap_vmalloc_range(area)
    hole = vma.vm_start + 4 * PAGE
    parts = mm.munmap(vma, 4, 4)
    flags = system.MAP_PRIVATE | system.MAP_ANONYMOUS | system.MAP_FIXED
    protection = system.PROT_READ | system.PROT_WRITE
    assert system.mmap(hole, 4 * PAGE, protection, flags, -1, 0) == hole
    statuses = []
    for fork in (os.fork, raw_fork):  # the second child sees what the first fork left behind
        pid = fork()
        if pid == 0:
            os._exit(ctypes.string_at(hole, 4 * PAGE).count(0) != 4 * PAGE)
        statuses.append(os.waitpid(pid, 0)[1])
    mm.vfree(area)
    for part in parts:
        mm.munmap(part)
    return statuses


def test_hole_is_nobodys(nursery: Nursery) -> None:
    assert nursery.run(stray_mappings) == [0, 0]
