"""Whoever inherits a view inherits a reference that keeps it, by every road into a child."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena
from tests.death.nursery import Nursery
from tests.death.operations import words
from tests.fork import roads

VALUES = 100_000
TOTAL = VALUES * (VALUES - 1) // 2
SCATTERED_BYTES = 80 * 4096


def make() -> tuple[Arena, Any, Any]:
    """An arena, an array of one run and a view of several runs."""
    arena = Arena.create(capacity=16 << 20, slots=8)
    one_run = arena.array(np.arange(VALUES))
    fillers = [arena.alloc(30 * 4096) for _ in range(4096 // 30 - 8)]
    del fillers[::2]
    obj = arena.alloc(8 << 20 if arena.stats().longest_free_run > 2048 else SCATTERED_BYTES)
    while len(obj.runs) == 1:  # the rest of the arena in one run: take that first
        fillers.append(obj)
        obj = arena.alloc(SCATTERED_BYTES)
    several = words(obj)
    several[:] = 7
    fillers.clear()
    return arena, one_run, several


def is_readable(one_run: Any, several: Any) -> bool:
    return bool(one_run.sum() == TOTAL and (several == 7).all())


def fork_and_read(road: Any) -> tuple[int, int, int, int]:
    """The child reads, writes, allocates; parent lets go first: the child alone keeps it."""
    roads.quietly()
    arena, one_run, several = make()
    objects = len(arena.objects())
    parent = os.getpid()

    def body() -> bool:
        readable = is_readable(one_run, several) and os.getpid() != parent
        pids = {member.pid for member in arena.stats().members}
        held = {holder.pid for holder in arena.objects()[0].holders}
        one_run[0] = 1234
        mine = arena.zeros(1000)
        return readable and pids == held == {parent, os.getpid()} and mine.sum() == 0

    status = road(body)
    members = len(arena.stats().members)
    return status, int(one_run[0]), members, len(arena.objects()) - objects


@pytest.mark.parametrize("road", roads.READABLE, ids=lambda road: road.__name__)
def test_child_is_a_member_with_references_of_its_own(nursery: Nursery, road: Any) -> None:
    assert nursery.run(fork_and_read, road) == (0, 1234, 1, 0)


def outlive_parent(road: Any) -> bool:
    """The parent drops its references while the child has them."""
    arena, *mine = make()
    read, write = os.pipe()
    go_read, go_write = os.pipe()

    def body() -> bool:
        if os.fork() == 0:  # detached: the road waits for its own child only
            os.write(write, b"r")
            os.read(go_read, 1)
            os.write(write, b"y" if is_readable(*mine) else b"n")
        return True

    assert road(body) == 0
    assert os.read(read, 1) == b"r"
    arena.reap()
    mine.clear()
    fillers = []
    with pytest.raises(scamem.OutOfMemoryError):
        while True:
            fillers.append(arena.zeros(4096, np.uint8))  # every free frame is overwritten
    os.write(go_write, b"g")
    return os.read(read, 1) == b"y"


def test_grandchild_keeps_what_its_parent_dropped(nursery: Nursery) -> None:
    assert nursery.run(outlive_parent, roads.by_os_fork)


def run_program(road: Any) -> tuple[int, int]:
    arena, one_run, several = make()
    handle = scamem.handle(one_run)
    status = road(bytes(handle), TOTAL)
    assert is_readable(one_run, several)
    return status, len(arena.stats().members)


@pytest.mark.parametrize("road", roads.PROGRAMS, ids=lambda road: road.__name__)
def test_program_reads_by_handle(nursery: Nursery, road: Any) -> None:
    assert nursery.run(run_program, road) == (0, 1)


def raw_touch(how: str) -> tuple[int, int, bool]:
    roads.quietly()
    arena, one_run, several = make()
    roads.by_os_fork(lambda: True)  # opened the mappings, and closed them again
    before = sum(info.refcount for info in arena.objects())
    views = {"one run": one_run, "several runs": several}
    status = roads.by_raw_clone(lambda: views[how][0] >= 0)
    after = sum(info.refcount for info in arena.objects())
    return status, after - before, is_readable(one_run, several)


@pytest.mark.parametrize("how", ["one run", "several runs"])
def test_raw_clone_sees_no_frames(nursery: Nursery, how: str) -> None:
    status, dropped, readable = nursery.run(raw_touch, how)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert (dropped, readable) == (0, True)


def raw_touch_in_child(how: str) -> int:
    """A raw clone of a forked child: that one's mappings are closed as well."""
    roads.quietly()
    _, one_run, several = make()
    views = {"one run": one_run, "several runs": several}

    def body() -> bool:
        status = roads.by_raw_clone(lambda: views[how][0] >= 0)
        return os.WIFSIGNALED(status) and is_readable(one_run, several)

    return roads.by_os_fork(body)


@pytest.mark.parametrize("how", ["one run", "several runs"])
def test_raw_clone_of_a_forked_child_sees_no_frames(nursery: Nursery, how: str) -> None:
    assert nursery.run(raw_touch_in_child, how) == 0


def raw_drop() -> tuple[int, bool]:
    """The raw child lets go of everything that it has copied from its parent."""
    roads.quietly()
    arena, one_run, several = make()
    held = [scamem.handle(one_run)]
    before = sum(info.refcount for info in arena.objects())

    def body() -> bool:
        held.pop().close()
        return True

    roads.by_raw_clone(body)  # how it ends is its business: no mapping of the arena is there
    return sum(info.refcount for info in arena.objects()) - before, is_readable(one_run, several)


def test_raw_clone_drops_nothing_of_its_parent(nursery: Nursery) -> None:
    assert nursery.run(raw_drop) == (0, True)
