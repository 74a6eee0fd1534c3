"""Direct map and vmaps: what is seen through them, who gets them, and when they are refused."""

from __future__ import annotations

import ctypes
import os
import random
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from scamem.address_space import map as mappings
from scamem.backing import head_room, system
from scamem.backing.files import SharedFile
from scamem.errors import BlindError, ClosedError, OutOfMemoryError, TooScatteredError
from tests.backing.children import Talk, child, in_child, raw_fork, run_script

FRAME = system.PAGE_BYTES
NFRAMES = 1024


@pytest.fixture
def file() -> SharedFile:
    return SharedFile.memfd("scamem-test-frames", NFRAMES * FRAME)


@pytest.fixture
def direct(file: SharedFile) -> Iterator[mappings.DirectMap]:
    made = mappings.DirectMap(file)
    ctypes.memset(made.address, 0, file.size)
    for frame in range(NFRAMES):
        ctypes.memmove(made.address + frame * FRAME, frame.to_bytes(4, "little"), 4)
    yield made
    made.close()


def numbers(address: int, count: int) -> list[int]:
    """What the frames of a view say they are."""
    return [
        int.from_bytes(ctypes.string_at(address + at * FRAME, 4), "little") for at in range(count)
    ]


def flags_at(address: int) -> set[str]:
    with open("/proc/self/smaps") as smaps:
        text = "\n" + smaps.read()
    part = text[text.index(f"\n{address:x}-") :]
    return set(part.partition("VmFlags:")[2].splitlines()[0].split())


def touch(address: int, talk: Talk) -> None:
    ctypes.string_at(address, 1)


def maps() -> list[str]:
    with open("/proc/self/maps") as lines:
        return [line for line in lines if "scamem-test-frames" in line]


def test_view_shows_the_runs_in_their_order(file: SharedFile, direct: mappings.DirectMap) -> None:
    runs = [(7, 1), (100, 3), (2, 2), (1023, 1)]
    view = mappings.vmap(direct, runs, FRAME)
    assert numbers(view, 7) == [7, 100, 101, 102, 2, 3, 1023]
    mappings.vunmap(view, 7 * FRAME)


def test_view_and_direct_map_are_the_same_memory(
    file: SharedFile, direct: mappings.DirectMap
) -> None:
    view = mappings.vmap(direct, [(9, 1), (3, 1)], FRAME)
    ctypes.memmove(view + FRAME + 8, b"seen", 4)
    assert ctypes.string_at(direct.address + 3 * FRAME + 8, 4) == b"seen"
    assert ctypes.string_at(direct.read_only_address + 3 * FRAME + 8, 4) == b"seen"
    mappings.vunmap(view, 2 * FRAME)


def test_runs_in_random_order_agree_with_a_model(
    file: SharedFile, direct: mappings.DirectMap
) -> None:
    dice = random.Random(1)
    for _ in range(50):
        frames = dice.sample(range(NFRAMES), dice.randint(1, 200))
        view = mappings.vmap(direct, [(frame, 1) for frame in frames], FRAME)
        assert numbers(view, len(frames)) == frames
        mappings.vunmap(view, len(frames) * FRAME)
    assert len(maps()) == 1  # the direct map


def test_adjacent_runs_take_one_mapping() -> None:
    assert mappings.merged([(1, 2), (3, 1), (9, 1), (4, 1)]) == [(1, 3), (9, 1), (4, 1)]


def test_direct_map_is_aligned_for_huge_pages(direct: mappings.DirectMap) -> None:
    assert direct.address % mappings.HUGE_PAGE_BYTES == 0
    assert direct.read_only_address % mappings.HUGE_PAGE_BYTES == 0


@pytest.mark.parametrize("writable", [True, False])
def test_views_are_in_no_core_dump_and_no_fork(
    file: SharedFile, direct: mappings.DirectMap, *, writable: bool
) -> None:
    view = mappings.vmap(direct, [(9, 1), (3, 1)], FRAME, writable)
    for address in (view, view + FRAME, direct.address, direct.read_only_address):
        assert {"dc", "dd"} <= flags_at(address)
    mappings.vunmap(view, 2 * FRAME)


@pytest.mark.parametrize("fork", [os.fork, raw_fork], ids=["fork", "raw fork"])
def test_child_gets_a_signal_and_no_frames(
    file: SharedFile, direct: mappings.DirectMap, fork: Callable[[], int]
) -> None:
    view = mappings.vmap(direct, [(9, 1)], FRAME)
    for address in (view, direct.address, direct.read_only_address):
        with child(partial(touch, address), fork=fork) as started:
            assert os.WTERMSIG(started.wait()) == signal.SIGSEGV
    mappings.vunmap(view, FRAME)


def test_child_gets_what_fork_opens_for_it(direct: mappings.DirectMap) -> None:
    for address, length in direct.ranges():
        system.madvise(address, length, system.MADV_DOFORK)
    assert in_child(lambda: numbers(direct.address, 3)) == [0, 1, 2]
    for address, length in direct.ranges():
        system.madvise(address, length, system.MADV_DONTFORK)


def test_view_made_while_a_fork_opened_the_direct_map_is_closed(
    file: SharedFile, direct: mappings.DirectMap
) -> None:
    system.madvise(direct.address, direct.length, system.MADV_DOFORK)
    view = mappings.vmap(direct, [(9, 1), (3, 1)], FRAME)
    assert "dc" in flags_at(view)
    assert "dc" in flags_at(view + FRAME)
    mappings.vunmap(view, 2 * FRAME)


def test_read_only_view_cannot_be_written(file: SharedFile, direct: mappings.DirectMap) -> None:
    view = mappings.vmap(direct, [(9, 2)], FRAME, writable=False)
    assert "wr" not in flags_at(view)
    assert numbers(view, 2) == [9, 10]
    mappings.vunmap(view, 2 * FRAME)


def test_blind_process_still_makes_views(file: SharedFile, direct: mappings.DirectMap) -> None:
    def blind() -> tuple[list[int], list[int]]:
        os.close(file.descriptor())
        with pytest.raises(BlindError):
            file.descriptor()
        made = mappings.vmap(direct, [(5, 1), (2, 1)], FRAME)
        reading = mappings.vmap(direct, [(8, 1)], FRAME, writable=False)
        return numbers(made, 2), numbers(reading, 1)

    for address, length in direct.ranges():  # as fork's prepare does for a member's child
        system.madvise(address, length, system.MADV_DOFORK)
    assert in_child(blind) == ([5, 2], [8])


@pytest.mark.parametrize(
    "runs", [[], [(0, 0)], [(-1, 2)], [(NFRAMES, 1)], [(NFRAMES - 1, 2)], [(1 << 52, 1)]]
)
def test_runs_outside_the_file_are_refused(
    file: SharedFile, direct: mappings.DirectMap, runs: list[tuple[int, int]]
) -> None:
    with pytest.raises(ValueError, match=r"run|no frames"):
        mappings.vmap(direct, runs, FRAME)
    assert len(maps()) == 1


def test_too_scattered_view_is_refused_and_leaves_nothing(
    file: SharedFile, direct: mappings.DirectMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = Path("/proc/self/maps").read_text().count("\n") + 500
    monkeypatch.setattr(head_room, "mappings_max", lambda: most * 4 // 3)
    monkeypatch.setattr(mappings, "budget", mappings.MappingBudget())
    runs = [(frame, 1) for frame in range(0, NFRAMES, 2)]
    with pytest.raises(TooScatteredError, match="1,024 runs") as caught:
        mappings.vmap(direct, [*runs, *[(frame + 1, 1) for frame, _ in runs]], FRAME)
    assert caught.value.runs == NFRAMES
    assert 480 <= caught.value.limit <= 500
    assert len(maps()) == 1
    view = mappings.vmap(direct, runs[:400], FRAME)
    with pytest.raises(TooScatteredError):
        mappings.vmap(direct, runs[:400], FRAME)
    mappings.vunmap(view, 400 * FRAME)
    mappings.vunmap(mappings.vmap(direct, runs[:400], FRAME), 400 * FRAME)


def test_view_up_to_the_kernels_real_limit() -> None:
    script = (
        "import ctypes\n"
        "from scamem.address_space import map as m\n"
        "from scamem.backing.files import SharedFile\n"
        "from scamem.errors import TooScatteredError\n"
        "f = SharedFile.memfd('scamem-test', 1 << 30)\n"
        "d = m.DirectMap(f)\n"
        "n = m.budget.left(1 << 40) - 64\n"  # the list of runs takes some mappings of its own
        "runs = [(2 * i % 262144 + (2 * i // 262144), 1) for i in range(n)]\n"
        "a = m.vmap(d, runs, 4096)\n"
        "ctypes.memmove(a + (n - 1) * 4096, b'last', 4)\n"
        "assert ctypes.string_at(d.address + runs[-1][0] * 4096, 4) == b'last'\n"
        "try:\n"
        "    m.vmap(d, runs[:100], 4096)\n"
        "except TooScatteredError as error:\n"
        "    print('refused', error.runs)\n"
        "m.vunmap(a, n * 4096)\n"
        "m.vunmap(m.vmap(d, runs[:100], 4096), 100 * 4096)\n"
    )
    if int(Path("/proc/sys/vm/max_map_count").read_text()) > 200_000:
        pytest.skip("vm.max_map_count is raised here: as many mappings take long")
    assert run_script(script) == "refused 100\n"


def test_address_space_limit_is_named() -> None:
    script = (
        "import resource\n"
        "from scamem.address_space import map as m\n"
        "from scamem.backing.files import SharedFile\n"
        "from scamem.errors import OutOfMemoryError\n"
        "f = SharedFile.memfd('scamem-test', 1 << 30)\n"
        "d = m.DirectMap(f)\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)\n"
        "def lines(): return open('/proc/self/maps').read().count('memfd:scamem')\n"
        "before = lines()\n"
        "for make in (lambda: m.DirectMap(f), lambda: d.read_only_address,\n"
        "             lambda: m.vmap(d, [(0, 200000)], 4096)):\n"
        "    try:\n"
        "        make()\n"
        "    except OutOfMemoryError as error:\n"
        "        print(error.limit, error.asked_bytes >= 200000 * 4096, lines() - before)\n"
    )
    assert run_script(script) == "RLIMIT_AS True 0\n" * 3


def test_populate_fills_page_tables(file: SharedFile, direct: mappings.DirectMap) -> None:
    view = mappings.vmap(direct, [(9, 1), (3, 4)], FRAME)
    mappings.populate(view, 5 * FRAME, write=True)
    mappings.populate(view, 5 * FRAME, write=False)
    with open("/proc/self/pagemap", "rb") as pagemap:
        pagemap.seek(view // FRAME * 8)
        words = [int.from_bytes(pagemap.read(8), "little") for _ in range(5)]
    assert all(word >> 63 for word in words)
    mappings.vunmap(view, 5 * FRAME)
    with pytest.raises(OutOfMemoryError):
        mappings.populate(view, 5 * FRAME, write=True)


def lost() -> int:
    raise BlindError("asked for the descriptor")


def test_punch_needs_no_descriptor(file: SharedFile, direct: mappings.DirectMap) -> None:
    before = file.allocated_bytes()
    file.descriptor = lost  # type: ignore[method-assign] # whatever asks for it fails
    direct.punch(64 * FRAME, 16 * FRAME)
    del file.descriptor
    assert before - file.allocated_bytes() == 16 * FRAME
    assert ctypes.string_at(direct.address + 64 * FRAME, 4) == b"\0" * 4
    with pytest.raises(ValueError, match="bytes"):
        direct.punch(0, file.size + FRAME)


def test_closed_direct_map_says_so(file: SharedFile) -> None:
    made = mappings.DirectMap(file)
    assert made.read_only_address
    made.close()
    assert maps() == []
    with pytest.raises(ClosedError):
        mappings.vmap(made, [(0, 1)], FRAME)
    with pytest.raises(ClosedError):
        mappings.vmap(made, [(0, 1)], FRAME, writable=False)
    made.close()
