"""Real huge pages: private views, snapshots, cleaning, sections that are emptied, defaults."""

from __future__ import annotations

import gc
import signal
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.core.store import layout as L
from tests.backing.children import Talk, child, in_child
from tests.sections.conftest import MIB, PAGES

HUGE = 2 * MIB


def bytes_of(obj: scamem.Scamem, **how: bool) -> Any:
    view: Any = obj.map(**how)
    return np.frombuffer(view, np.uint8)


def pool_free() -> int:
    """Huge pages of the pool that nobody has or was promised."""
    words = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(words["HugePages_Free"]) - int(words["HugePages_Rsvd"])


def scattered(arena: scamem.Arena, pages: int) -> scamem.Scamem:
    """An object of runs of one huge page each."""
    parts = [arena.alloc(HUGE, zone="HUGE") for _ in range(8)]  # two sections
    del parts[: 2 * pages : 2]
    made = arena.alloc(pages * HUGE, zone="HUGE")
    assert len(made.runs) == pages
    return made


def write_and_read(view: Any) -> tuple[int, int]:
    view[1] = 9
    return int(view[0]), int(view[1])


@pytest.mark.parametrize("runs", [1, 3])
def test_private_views(huge: scamem.Arena, runs: int) -> None:
    obj = scattered(huge, 3) if runs == 3 else huge.alloc(3 * HUGE, zone="HUGE")
    shared = bytes_of(obj)
    shared[:] = 1
    free = pool_free()
    mine = bytes_of(obj, private=True)
    assert pool_free() == free - 3  # set aside at once
    mine[0] = mine[2 * HUGE] = 7
    shared[:] = 2
    assert (mine[0], mine[1], mine[2 * HUGE]) == (7, 1, 7)  # pages of this process's own by now
    assert mine[HUGE] == 2  # one that was not written here shows the frame
    assert shared[0] == shared[2 * HUGE] == 2

    assert in_child(partial(write_and_read, mine)) == (7, 9)
    assert mine[1] == 1
    del mine
    gc.collect()
    assert pool_free() == free
    assert obj.refcount == 2


def test_a_private_view_without_pages(huge: scamem.Arena) -> None:
    """It is refused beforehand; nobody is ended by SIGBUS for want of a page."""
    kept = [huge.alloc(HUGE, zone="HUGE") for _ in range(PAGES - 4)]
    obj = huge.alloc(3 * HUGE, zone="HUGE")
    maps = len(Path("/proc/self/maps").read_text().splitlines())
    with pytest.raises(scamem.OutOfMemoryError, match="nr_hugepages"):
        while True:
            kept.append(huge.alloc(HUGE, zone="HUGE"))
    with pytest.raises(scamem.OutOfMemoryError, match="asked for 3 huge pages") as caught:
        obj.map(private=True)
    assert caught.value.limit == "nr_hugepages"
    del caught  # its traceback has references
    gc.collect()
    assert len(Path("/proc/self/maps").read_text().splitlines()) == maps
    assert obj.refcount == 1
    bytes_of(obj)[:] = 5
    kept.clear()
    huge.trim()
    mine = bytes_of(obj, private=True)
    mine[0] = 6
    assert bytes_of(obj)[0] == 5


def test_snapshots(huge: scamem.Arena) -> None:
    x = huge.full(5 * MIB, 3, np.uint8, zone="HUGE")
    still = x.snapshot()
    x[:] = 4
    assert (still == 3).all()
    assert huge.page_zone(huge.alloc(1).pages[0]) == "NORMAL"
    part = x[MIB : 2 * MIB].snapshot()
    x[:] = 5
    assert part.shape == (MIB,)
    assert (part == 4).all()


def test_frames_that_io_may_reach_are_cleaned(huge: scamem.Arena) -> None:
    obj = huge.alloc(3 * HUGE, zone="HUGE")
    bytes_of(obj)[:] = 7
    pages = obj.pages.tolist()

    def pin(talk: Talk) -> None:
        held = obj.pin(io=True)
        talk.say(held.nframes)
        signal.pause()

    with child(pin) as other:
        assert other.hear() == 3 * 512
    huge.reap()
    words = huge._seat.member.object_words(obj.index)
    assert words is not None
    assert words[L.OBJECT_STATE] & L.OBJECT_TAINTED
    assert (bytes_of(obj) == 7).all()  # whoever holds it has its data
    obj.close()
    assert huge.objects() == []
    again = huge.alloc(3 * HUGE, zone="HUGE")
    assert again.pages.tolist() == pages
    assert not bytes_of(again).any()  # other pages of the pool: what was there is gone


def test_a_section_of_huge_pages_is_emptied(huge: scamem.Arena) -> None:
    obj = huge.alloc(3 * HUGE, zone="HUGE")
    bytes_of(obj)[:] = np.arange(3 * HUGE) % 251
    (section,) = np.unique(huge.page_to_section(obj.pages)).tolist()
    huge.publish("kept", obj)
    huge.offline_section(section)
    info = huge.sections()[section]
    assert (info.state, info.populated_bytes, info.zone) == ("offline", 0, "HUGE")
    assert huge.page_zone(int(obj.pages[0])) == "HUGE"
    assert (bytes_of(obj) == np.arange(3 * HUGE) % 251).all()
    assert section not in huge.page_to_section(obj.pages)
    huge.unpublish("kept")
    obj.close()
    huge.trim()


def test_a_default_zone(huge: scamem.Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAMEM_ZONE", "HUGE")
    with scamem.Arena.create(capacity=16 * MIB, huge=4 * HUGE) as arena:
        x = arena.zeros(10)
        held = arena.alloc(1)
        assert held.nr == 512
        assert arena.page_zone(held.pages[[0, -1]]).tolist() == ["HUGE", "HUGE"]
        assert arena.page_zone(arena.alloc(1, zone="NORMAL").pages[0]) == "NORMAL"
        packed = arena.put(struct.pack("<3Q", 1, 2, 3))
        assert arena.get(packed) == struct.pack("<3Q", 1, 2, 3)
        del x, held, packed
    monkeypatch.setenv("SCAMEM_ZONE", "NORMAL")
    with scamem.Arena.create(capacity=16 * MIB, huge=4 * HUGE) as arena:
        assert arena.alloc(1).nr == 1


def test_named_arenas_have_none(place: Path) -> None:
    """Huge pages have no name; the error says so, and the way out. Nothing is left."""
    path = place / "arena"
    with pytest.raises(scamem.OutOfMemoryError, match=r"without a name.*anonymous arena") as caught:
        scamem.Arena.create(str(path), capacity=16 * MIB, huge=16 * MIB)
    assert caught.value.limit == "huge pages of a named arena"
    machine = scamem.Machine((scamem.MachineNode(8 * MIB, 8 * MIB),))
    with pytest.raises(scamem.OutOfMemoryError, match="without a name"):
        scamem.Arena.create(str(path), machine=machine)
    assert not path.exists()
    with scamem.Arena.create(str(path), capacity=16 * MIB) as arena:
        with pytest.raises(scamem.OutOfMemoryError, match="no huge pages"):
            arena.zeros(3, zone="HUGE")
        assert {info.zone for info in arena.sections()} == {"NORMAL"}
