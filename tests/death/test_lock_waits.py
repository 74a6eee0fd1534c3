"""Waiting for the arena's lock, and joining that fails: whoever waits ends, and fork goes on."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

import pytest

import scamem
from scamem.core.store import layout as L
from scamem.membership import attach
from scamem.membership.member import Member
from tests.backing.children import Talk
from tests.death.nursery import Nursery

MANY = 300  # more arenas than the first table of a process has room for


def join_and_wait(talk: Talk, path: str) -> None:
    arena = scamem.Arena.join(path)
    talk.say(arena.slot)
    talk.hear()


def set_lock(path: str, slot: int) -> None:
    """Let the lock word name a slot, by a ticket that nobody had before."""
    with open(os.path.join(path, "control"), "r+b") as file:
        with mmap.mmap(file.fileno(), L.SLOTS * L.WORD_BYTES) as words:
            at = L.LOCK * L.WORD_BYTES
            (seen,) = struct.unpack_from("=Q", words, at)
            ticket = (seen >> L.LOCK_TICKET_SHIFT) + 1
            struct.pack_into("=Q", words, at, ticket << L.LOCK_TICKET_SHIFT | slot)


def take_from_the_dead(path: str, slot: int, timeout_s: float) -> int:
    """Wait for a lock that a dead member has, as long as told."""
    arena = scamem.Arena.join(path)
    arena._seat.member.lock_timeout_s = timeout_s
    set_lock(path, slot)
    obj = arena.alloc(4096)
    again = arena.alloc(4096)
    del obj, again
    return arena.stats().takeovers


@pytest.mark.parametrize("timeout_s", [0.0005, 0.002, 10.0])
def test_a_dead_holder_is_found_however_late(
    place: Path, nursery: Nursery, timeout_s: float
) -> None:
    """Who takes the lock over when its own time is up has it, and goes on."""
    with scamem.Arena.create(str(place / "late"), capacity=8 << 20, slots=8) as arena:
        with nursery.start(join_and_wait, arena.path) as victim:
            slot = victim.hear()
            victim.kill()
        assert nursery.run(take_from_the_dead, arena.path, slot, timeout_s) == 1
        assert arena.check() == []


def test_a_living_holder_is_named(place: Path, nursery: Nursery) -> None:
    with scamem.Arena.create(str(place / "named"), capacity=8 << 20, slots=8) as arena:
        with nursery.start(join_and_wait, arena.path) as holder:
            slot = holder.hear()
            set_lock(arena.path, slot)
            arena._seat.member.lock_timeout_s = 0.05
            with pytest.raises(scamem.LockTimeoutError, match=f"{holder.pid}") as caught:
                arena.alloc(4096)
            assert (caught.value.slot, caught.value.pid) == (slot, holder.pid)
        arena._seat.member.lock_timeout_s = 10.0
        arena.alloc(4096)
        assert arena.check() == []


def fork_after_a_failed_join(step: str) -> tuple[str, int, int]:
    """Join fails at a step; fork afterwards, and use another arena in the child."""

    class Interrupted(Member):
        pass

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    setattr(Interrupted, step, interrupt)
    attach.__dict__["Member"] = Interrupted  # as a signal handler would interrupt it
    name = ""
    try:
        scamem.Arena.create(capacity=8 << 20)
    except KeyboardInterrupt as error:
        name = type(error).__name__
    attach.__dict__["Member"] = Member
    arena = scamem.Arena.create(capacity=8 << 20)
    values = arena.zeros(10)
    pid = os.fork()
    if pid == 0:
        values[0] = 1
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return name, status, int(values[0])


@pytest.mark.parametrize("step", ["join", "reap", "enter_table", "set_my_word"])
def test_fork_after_a_failed_join(nursery: Nursery, step: str) -> None:
    assert nursery.run(fork_after_a_failed_join, step) == ("KeyboardInterrupt", 0, 1)


def slots_after_failed_joins(path: str) -> int:
    """Each failed joiner leaves its slot to be reaped, although its process lives."""

    class Interrupted(Member):
        def reap(self) -> int:
            raise KeyboardInterrupt

    attach.__dict__["Member"] = Interrupted
    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            scamem.Arena.join(path)
    attach.__dict__["Member"] = Member
    return len(scamem.Arena.join(path).stats().members)


def test_a_failed_join_keeps_no_slot(place: Path, nursery: Nursery) -> None:
    with scamem.Arena.create(str(place / "failed"), capacity=8 << 20, slots=8) as arena:
        assert nursery.run(slots_after_failed_joins, arena.path) == 2


def join_many() -> tuple[int, int, int]:
    """Join many arenas, fork, use the first and the last in the child; close them all."""
    arenas = [scamem.Arena.create(capacity=8 << 20, slots=8) for _ in range(MANY)]
    values = [arena.zeros(1) for arena in (arenas[0], arenas[-1])]
    pid = os.fork()
    if pid == 0:
        for one in values:
            one[0] = 1
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    total = int(sum(one[0] for one in values))
    values.clear()
    for arena in arenas:
        arena.close()
    again = scamem.Arena.create(capacity=8 << 20)
    return status, total, int(again.zeros(3).sum())


def test_many_arenas_in_one_process(nursery: Nursery) -> None:
    assert nursery.run(join_many) == (0, 2, 0)
