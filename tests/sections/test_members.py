"""Several processes that use, trim, empty and fill one arena: nobody's bytes are touched."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.core.store import layout as L
from scamem.membership import joined

MIB = 1 << 20
SPAWN = multiprocessing.get_context("spawn")
ROUNDS = 40


@pytest.fixture
def arena() -> Iterator[scamem.Arena]:
    with scamem.Arena.create(capacity=96 * MIB, huge=0) as made:
        made.retention = 0  # each release is followed by a trim as well
        yield made
        assert made.check() == []


def memory(arena: scamem.Arena) -> int:
    """Bytes of frames that the kernel has given: st_blocks of the frame file."""
    return int(arena._seat.frames.allocated_bytes())


def work(talk: Connection, address: Any, number: int) -> None:
    """Fill arrays and verify them, trimming all the while; the last two are left and counted."""
    arena = joined.reach(address).arena
    kept: list[Any] = []
    for turn in range(ROUNDS):
        value = (number * ROUNDS + turn) % 251
        kept.append(arena.full((1 + (turn + number) % 5) * MIB, value, np.uint8))
        if len(kept) > 2:
            first = kept.pop(0)
            assert (first == first[0]).all()
            del first
        arena.trim(keep=turn % 3 * MIB)
        if turn == 0:
            talk.send("at work")
    assert all((part == part[0]).all() for part in kept)
    talk.send(sum(part.nbytes for part in kept))
    talk.recv()


def empty_and_fill(talk: Connection, address: Any, number: int) -> None:
    """Take sections offline, where that can be, and bring them online again."""
    arena = joined.reach(address).arena
    done = 0
    for turn in range(ROUNDS):
        section = (turn + number) % 12
        with contextlib.suppress(scamem.SectionBusyError):
            arena.offline_section(section)
            done += 1
        arena.online_section(section)
        if turn == 0:
            talk.send("at work")
    talk.send(done)
    talk.recv()


def start(body: Any, arena: scamem.Arena, number: int) -> tuple[Any, Connection]:
    ours, theirs = SPAWN.Pipe()
    made = SPAWN.Process(target=body, args=(theirs, arena._seat.address(), number))
    made.start()
    theirs.close()
    return made, ours


def test_several_members_trim(arena: scamem.Arena) -> None:
    obj = arena.alloc(3 * MIB)
    view: Any = np.frombuffer(memoryview(obj.map()), np.uint64)
    view[:] = np.arange(len(view))
    del view
    arena.publish("kept", obj)
    obj.close()
    started = [start(work, arena, number) for number in range(3)]
    started += [start(empty_and_fill, arena, number) for number in (0, 5)]
    doomed, talk = start(work, arena, 7)
    assert talk.recv() == "at work"
    doomed.kill()  # wherever it is; tests/death has every place
    doomed.join()
    for _, talk in started:
        assert talk.recv() == "at work"
    found = [talk.recv() for _, talk in started]
    assert min(found) > 0
    arena.reap()
    assert arena.check() == []
    stats = arena.stats()
    assert (stats.frames_online - stats.frames_free) * 4096 == sum(found[:3]) + 3 * MIB
    for child, talk in started:
        talk.send("end")
        child.join()
        assert child.exitcode == 0
    arena.reap()
    view = np.frombuffer(memoryview(arena.get("kept").map()), np.uint64)
    assert (view == np.arange(len(view))).all()
    del view
    arena.unpublish("kept")
    arena.trim()
    assert arena._seat.member.read_word(L.CHANGING) == 0
    assert memory(arena) == 0
    assert arena.stats().frames_online == arena.stats().frames_free == 0
