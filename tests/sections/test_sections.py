"""Sections by number, trim and retention: memory goes back to the system and comes again."""

import gc
import os
import resource
import time

import numpy as np
import pytest

import scamem
from scamem.memory.sections import REST_S
from tests.backing.children import run_script

MIB = 1 << 20
SECTION_BYTES = 8 * MIB


def memory(arena: scamem.Arena) -> int:
    """Bytes of frames that the kernel has given: st_blocks of the frame file."""
    return int(arena._seat.frames.allocated_bytes())


def test_trim_gives_back_what_is_free_and_no_more(arena: scamem.Arena) -> None:
    arena.retention = arena.capacity
    kept = arena.full(3 * MIB, 7, np.uint8)
    big = arena.full(20 * MIB, 1, np.uint8)
    before = memory(arena)
    del big
    gc.collect()
    given = arena.trim()
    assert given > 0
    assert before - memory(arena) == given
    assert (kept == 7).all()
    assert arena.stats().frames_free * 4096 < 2 * 2 * MIB
    assert arena.check() == []
    again = arena.full(20 * MIB, 2, np.uint8)  # the same frames, with memory again
    assert (again == 2).all()
    assert arena.check() == []


def test_trim_keeps_what_it_is_told_to(arena: scamem.Arena) -> None:
    arena.retention = arena.capacity
    x = arena.zeros(24 * MIB, np.uint8)
    del x
    gc.collect()
    arena.trim(keep=10 * MIB)
    free = arena.stats().frames_free * 4096
    assert 10 * MIB <= free < 12 * MIB
    assert memory(arena) == free


def test_retention_trims_by_itself(arena: scamem.Arena) -> None:
    assert arena.retention == 64 * MIB  # the least that is kept by default
    arena.retention = 4 * MIB
    x = arena.zeros(32 * MIB, np.uint8)
    assert memory(arena) == 32 * MIB
    del x
    gc.collect()
    for _ in range(1000):  # the interpreter looks for such calls between bytecodes
        if memory(arena) == 4 * MIB:
            break
    assert memory(arena) == 4 * MIB


def test_what_dies_at_exit_is_not_trimmed() -> None:
    """A release among modules that were taken apart: nothing is called, nothing is said."""
    script = """
        import scamem
        arena = scamem.Arena.create(capacity=32 << 20)
        arena.retention = 0
        kept = [arena.zeros(1 << 20)]
        kept.append(kept)
        """
    assert run_script(script) == ""


def test_retention_rests_where_memory_is_wanted_again(
    arena: scamem.Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that allocates and frees much populates once, not each time."""
    now = 1_000_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    arena.retention = 0

    def left_by_an_object() -> int:
        arena.alloc(32 * MIB).close()
        return next((left for left in (memory(arena) for _ in range(1000)) if not left), 32 * MIB)

    assert left_by_an_object() == 0  # nothing was ever populated: it is trimmed at once
    assert [left_by_an_object() for _ in range(3)] == [32 * MIB] * 3
    now += REST_S
    assert left_by_an_object() == 0
    assert left_by_an_object() == 32 * MIB
    now -= 2 * REST_S  # an arena that was recovered: the clock began anew
    assert left_by_an_object() == 0


def test_offline_and_online_again(arena: scamem.Arena) -> None:
    x = arena.zeros(MIB, np.uint8)
    arena.offline_section(3)
    assert [(s.state, s.kept_offline) for s in arena.sections()][3] == ("offline", True)
    rest = [arena.zeros(4 * MIB, np.uint8) for _ in range(13)]
    with pytest.raises(scamem.OutOfMemoryError, match="capacity"):
        arena.zeros(4 * MIB, np.uint8)
    arena.online_section(3)
    more = arena.zeros(4 * MIB, np.uint8)
    first = arena.page_to_section(int(arena.objects()[-1].index and 3 * 2048))
    assert first == 3
    assert x.sum() + more.sum() + sum(int(part.sum()) for part in rest) == 0


def test_offline_returns_the_memory(arena: scamem.Arena) -> None:
    arena.zeros(MIB, np.uint8)
    gc.collect()
    assert memory(arena) == arena.sections()[0].populated_bytes == 2 * MIB
    arena.online_section(1)
    assert memory(arena) == 2 * MIB + SECTION_BYTES
    arena.offline_section(1)
    arena.offline_section(0)
    assert memory(arena) == 0
    assert arena.sections()[0].populated_bytes == 0


def test_the_first_section_comes_in_steps_that_double(arena: scamem.Arena) -> None:
    """A small object does not wait for a whole section."""
    held = []
    seen = []
    for _ in range(9):
        held.append(arena.alloc(MIB))
        seen.append(arena.sections()[0].populated_bytes // MIB)
    assert seen == [2, 2, 4, 4, 8, 8, 8, 8, 8]
    assert arena.sections()[1].populated_bytes == SECTION_BYTES
    assert arena.check() == []


def test_a_big_first_object_takes_no_steps(arena: scamem.Arena) -> None:
    held = arena.alloc(5 * MIB)
    assert arena.sections()[0].populated_bytes == 6 * MIB
    assert held.runs.shape == (1, 2)
    assert arena.check() == []


def test_warm_memory_is_online_and_mapped(arena: scamem.Arena) -> None:
    done = []
    arena.retention = 0
    arena.warm("20M", progress=lambda *about: done.append(about))
    assert done == [(20 * MIB, 20 * MIB)]
    assert arena.stats().frames_free * arena.frame_bytes >= 20 * MIB
    assert arena.retention == 20 * MIB
    assert not arena.objects()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arena.zeros(16 * MIB, np.uint8)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults < 2000  # of 4,096 pages
    with pytest.raises(scamem.OutOfMemoryError):
        arena.warm(1 << 40)
    with pytest.raises(ValueError, match="-1"):
        arena.warm(-1)
    assert arena.check() == []


def test_a_busy_section_says_who_has_it(arena: scamem.Arena) -> None:
    held = arena.alloc(MIB)
    view = held.map()
    with pytest.raises(
        scamem.SectionBusyError, match=f"object {held.index}.*{os.getpid()}: mappings=1"
    ) as said:
        arena.offline_section(0)
    assert said.value.section == 0
    assert said.value.objects == (held.index,)
    del view
    held.close()
    arena.offline_section(0)


def test_out_of_range(arena: scamem.Arena) -> None:
    for number in (-1, 8):
        with pytest.raises(IndexError, match="8"):
            arena.offline_section(number)
        with pytest.raises(IndexError, match="8"):
            arena.online_section(number)
