"""Threads of one process change sections in turn: none ends what another began."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.core.store import layout as L
from scamem.looks.frames import section_words
from scamem.memory import changes, room, sections, turns
from scamem.memory.turns import in_turn
from tests.backing.children import run_script

MIB = 1 << 20
WAIT_S = 60.0


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], None]]]:
    """What is to be done, once, by a thread that gives a section memory; it does it in there."""
    todo: list[Callable[[], None]] = []
    allocate: Any = room._allocate_frames

    def first_do(*args: Any) -> None:
        if todo:
            todo.pop()()
        allocate(*args)

    monkeypatch.setattr(room, "_allocate_frames", first_do)
    yield todo
    assert todo == []


def test_closing_leaves_a_thread_its_change(inside: list[Callable[[], None]]) -> None:
    """The arena is not left under a thread that changes a section, but when that has ended."""
    arena = scamem.Arena.create(capacity=32 * MIB, huge=0)
    member = arena._seat.member

    def close() -> None:  # as another thread would, while the kernel is at work
        arena.close()
        assert member.is_active()
        assert section_words(member, 1, 1)[0] & L.MASK_8 == L.SECTION_STATE_ONLINING

    inside.append(close)
    arena.online_section(1)
    assert arena.closed
    assert not member.is_active()
    assert member.object_words(1) is None  # what looks late finds nothing, and no lost memory
    with pytest.raises(scamem.ClosedError):
        member.reap()


def test_closing_beside_a_look_at_many_frames() -> None:
    """The look ends with an error, or is done; it reads no memory that is gone."""
    script = """
        import contextlib, threading
        import numpy as np
        import scamem

        pfns = np.arange(1 << 20) % 4096
        for _ in range(20):
            arena = scamem.Arena.create(capacity=16 << 20)
            arena.alloc(4096).close()
            there = threading.Event()

            def look():
                with contextlib.suppress(scamem.ScamemError):
                    while True:
                        there.set()
                        arena.page_to_object(pfns)

            thread = threading.Thread(target=look)
            thread.start()
            there.wait()
            arena.close()
            thread.join()
        """
    assert run_script(script) == ""


@contextlib.contextmanager
def another_in_the_middle(arena: scamem.Arena, inside: list[Callable[[], None]]) -> Iterator[None]:
    """Another thread is bringing section 1 online, for as long as the body takes."""
    there, go_on = threading.Event(), threading.Event()

    def stay() -> None:
        there.set()
        assert go_on.wait(WAIT_S)

    inside.append(stay)
    with ThreadPoolExecutor(1) as other:
        done = other.submit(arena.online_section, 1)
        assert there.wait(WAIT_S)
        try:
            yield
            assert state(arena, 1) == "onlining"
        finally:
            go_on.set()
        done.result(WAIT_S)
    assert state(arena, 1) == "online"


def state(arena: scamem.Arena, section: int) -> str:
    return arena.sections()[section].state


def is_free(arena: scamem.Arena) -> bool:
    """Whether this thread could change a section now."""
    with in_turn(arena._seat, None) as mine:
        return mine


def test_a_thread_that_waits_too_long_says_so(
    arena: scamem.Arena, inside: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it gives nothing up that is not its own."""
    monkeypatch.setattr(turns, "ONLINE_TIMEOUT_S", 0.05)
    with another_in_the_middle(arena, inside):
        with pytest.raises(scamem.OutOfMemoryError, match=r"section 2 online.*another thread"):
            arena.online_section(2)
        with pytest.raises(scamem.OutOfMemoryError, match=r"section 3 offline.*another thread"):
            arena.offline_section(3)
    assert state(arena, 2) == state(arena, 3) == "offline"


def test_threads_wait_for_their_turn(arena: scamem.Arena, inside: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(1) as third:
        with another_in_the_middle(arena, inside):
            later = third.submit(arena.online_section, 2)
            assert not is_free(arena)
            assert state(arena, 2) == "offline"
        later.result(WAIT_S)
    assert state(arena, 2) == "online"
    assert is_free(arena)


def test_retention_waits_for_nobody(arena: scamem.Arena, inside: list[Callable[[], None]]) -> None:
    arena.online_section(0)
    arena.retention = 0
    with another_in_the_middle(arena, inside):
        arena.alloc(MIB).close()  # and this thread trims, between two bytecodes
        sections.trim_surplus(arena._seat)
        assert arena.sections()[0].populated_bytes == 8 * MIB
    arena.alloc(MIB).close()
    for _ in range(1000):  # the interpreter looks for such calls between bytecodes
        if not arena.sections()[0].populated_bytes:
            break
    assert [info.populated_bytes for info in arena.sections()[:2]] == [0, 0]


def test_a_change_inside_of_a_change(arena: scamem.Arena, inside: list[Callable[[], None]]) -> None:
    """From a signal handler, say: what needs no change goes on, the rest is told why not."""
    said: list[str] = []

    def interrupt() -> None:
        assert sections.trim_to(arena._seat, 0, None) == 0
        with pytest.raises(scamem.OutOfMemoryError, match="signal handler") as caught:
            arena.online_section(2)
        said.append(str(caught.value))

    inside.append(interrupt)
    arena.online_section(1)
    assert said
    assert (state(arena, 1), state(arena, 2)) == ("online", "offline")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_fails_is_given_up(
    arena: scamem.Arena, inside: list[Callable[[], None]], error: type[BaseException]
) -> None:
    def fail() -> None:
        raise error

    inside.append(fail)
    with pytest.raises(error):
        arena.online_section(1)
    assert state(arena, 1) == "offline"
    assert arena._seat.member.read_word(L.CHANGING) == 0
    held = arena.alloc(20 * MIB)
    arena.retention = arena.capacity
    held.close()
    arena.trim()
    inside.append(fail)
    with pytest.raises(error):
        arena.alloc(20 * MIB)
    assert arena._seat.member.read_word(L.CHANGING) == 0
    assert arena.alloc(20 * MIB).nr == 20 * 256


def test_what_could_not_be_given_up_is_given_up_by_the_next(arena: scamem.Arena) -> None:
    with in_turn(arena._seat, None):
        assert changes.begin_online(arena._seat.member, 1, 1) == 1
    assert state(arena, 1) == "onlining"
    arena.online_section(2)
    assert (state(arena, 1), state(arena, 2)) == ("offline", "online")


def test_a_child_has_no_turn_of_its_parents_threads(
    arena: scamem.Arena, inside: list[Callable[[], None]]
) -> None:
    with another_in_the_middle(arena, inside):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if is_free(arena) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_many_threads(arena: scamem.Arena) -> None:
    """All that changes sections, all at once: each does what it says, and the rules hold."""
    arena.retention = 0  # each release is trimmed as well, by the main thread

    def on_and_off(section: int) -> None:
        for _ in range(30):
            with contextlib.suppress(scamem.SectionBusyError):  # the others' arrays may be there
                arena.offline_section(section)
            arena.online_section(section)

    def use(value: int) -> None:
        for k in range(60):
            x = arena.full((3 + k % 3) * MIB, value, np.uint8)
            assert (x == value).all()

    def trim(keep: int) -> None:
        for _ in range(60):
            arena.trim(keep)

    with ThreadPoolExecutor(6) as threads:
        jobs = [threads.submit(on_and_off, k) for k in (5, 6)]
        jobs += [threads.submit(use, k) for k in (1, 2)]
        jobs += [threads.submit(trim, k * MIB) for k in (0, 8)]
        for job in jobs:
            job.result()
    assert is_free(arena)
    assert arena._seat.member.read_word(L.CHANGING) == 0
