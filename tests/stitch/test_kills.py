"""Killed at each store of appending, writing and reading: what was there stays, the next goes on.

Stores go to two places, each with a hook of its own: the arena's control file, and the first frame
of the object. A sweep kills one process after another, each a store later than the last, until the
work is done; after each death another process goes on with the same object.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena
from scamem.core.store import layout as L
from tests.backing.children import Talk
from tests.death.nursery import Nursery
from tests.death.operations import Hook, no_core_dumps

FRAME = 4096
RING = 2 * FRAME
ROW = FRAME // 8
BEFORE, APPENDED, AFTER = 3, 18, 40  # rows: growing at the fourth and the twentieth
PART = 1700
RECORD = 3000  # two of them fit into the ring, not three
PLACES = ("control", "head")


class Stop:
    """Ends this process at a store to one of the two places."""

    def __init__(self, place: str, path: str, words: Any) -> None:
        self.hook = Hook(path)
        self.words = words if place == "head" else None

    def arm(self, stores: int) -> None:
        no_core_dumps()
        if self.words is None:
            self.hook.arm(stores)
            return
        self.words.store(L.STOP_COUNTDOWN, stores + 1)  # the last of these counts itself
        self.words.store(L.STOP_SIGNAL, signal.SIGKILL)
        self.words.store(L.STOP_PID, os.getpid())

    def count(self, stores: int) -> int:
        """Disarm; return how many stores there were."""
        if self.words is None:
            self.hook.disarm()
            return stores - self.hook.read(L.STOP_COUNTDOWN)
        self.words.store(L.STOP_PID, 0)
        return int(stores - self.words.load(L.STOP_COUNTDOWN))


def row(number: int, salt: int) -> Any:
    """Another one for each kill: frames that are used again have the rows of the last."""
    return np.arange(ROW) + ROW * number + salt


def stream(salt: int) -> bytes:
    return bytes(np.random.default_rng(salt).integers(0, 256, 6 * FRAME, np.uint8))


def append(talk: Talk, path: str, place: str, stores: int) -> None:
    rows = scamem.GrowableArray(Arena.join(path).get("shared"))
    stop = Stop(place, path, rows.words)
    stop.arm(stores)
    for _ in range(APPENDED):
        rows.append(row(len(rows), stores))
    talk.say(stop.count(stores))


def write(talk: Talk, path: str, place: str, stores: int) -> None:
    ring = scamem.RingBuffer(Arena.join(path).get("shared"))
    data = stream(stores)
    stop = Stop(place, path, ring.words)
    stop.arm(stores)
    for start in range(0, 3 * PART, PART):
        ring.write(data[start : start + PART])
    talk.say(stop.count(stores))


def read(talk: Talk, path: str, place: str, stores: int) -> None:
    ring = scamem.RingBuffer(Arena.join(path).get("shared"))
    data = stream(stores)
    stop = Stop(place, path, ring.words)
    stop.arm(stores)
    found = b"".join(ring.read(PART) for _ in range(3))
    assert found == data[: 3 * PART]
    talk.say(stop.count(stores))


def take_turns(talk: Talk, path: str, place: str, stores: int) -> None:
    """Write records one after another into a ring that is nearly full, and read between."""
    ring = scamem.RingBuffer(Arena.join(path).get("shared"))
    data = stream(stores)
    stop = Stop(place, path, ring.words)
    stop.arm(stores)
    for number in range(6):
        ring.write(data[number * RECORD : (number + 1) * RECORD])
        with pytest.raises(scamem.WaitTimeoutError):
            ring.write(bytes(RING + 1 - RECORD), timeout=0)
        if number < 5:
            assert ring.read() == data[number * RECORD : (number + 1) * RECORD]
    talk.say(stop.count(stores))


@pytest.fixture
def named(place: Path) -> Iterator[Arena]:
    with Arena.create(str(place / "arena"), capacity=16 << 20, slots=8) as made:
        made.alloc(FRAME).close()
        yield made
        assert made.objects() == []
        assert made.check() == []


def sweep(
    arena: Arena,
    nursery: Nursery,
    work: Callable[..., None],
    place: str,
    furnish: Callable[[Arena, int], Any],
    judge: Callable[[Any, bool, int], None],
    stride: int = 1,
) -> None:
    """Kill at each store in turn, on a new object each time, until the work is done."""
    kills = 0
    for store in itertools.count(1, stride):
        shared = furnish(arena, store)
        free = arena.stats().frames_free
        with nursery.start(work, arena.path, place, store) as victim:
            status = victim.wait()
            done = os.WIFEXITED(status)
            stores = victim.hear() if done else 0
        assert done or os.WTERMSIG(status) == signal.SIGKILL
        kills += not done
        arena.reap()
        judge(shared, done, store)
        shared.close()
        arena.unpublish("shared")
        assert arena.objects() == [], f"after death at store {store}"
        assert arena.stats().frames_free > free
        if done or kills % 8 == 0:
            assert arena.check() == [], f"after death at store {store}"
        if done:
            break
    print(f"{work.__name__}, {place}: {kills} kills at stores up to {stores}")
    assert kills == -(-stores // stride) > 0


def some_rows(arena: Arena, salt: int) -> Any:
    """Rows that somebody appended who has closed them, and an opening that only looks."""
    with arena.growable(ROW, np.int64) as made:
        for number in range(BEFORE):
            made.append(row(number, salt))
        arena.publish("shared", made.scamem)
        return scamem.GrowableArray(arena.get("shared"))


def judge_rows(rows: Any, done: bool, salt: int) -> None:
    """Whole rows and nothing else; the next writer goes on behind them."""
    length = len(rows)
    assert BEFORE <= length <= BEFORE + APPENDED
    assert length == BEFORE + APPENDED or not done
    while len(rows) < AFTER:
        rows.append(row(len(rows), salt))
    assert (rows.array == salt + np.arange(AFTER * ROW).reshape(AFTER, ROW)).all()
    assert rows.scamem.nr > AFTER


@pytest.mark.parametrize("where", PLACES)
def test_killed_while_it_appends(named: Arena, stop_nursery: Nursery, where: str) -> None:
    stride = 5 if where == "control" else 1
    sweep(named, stop_nursery, append, where, some_rows, judge_rows, stride)


def empty_ring(arena: Arena, salt: int = 0) -> Any:
    ring = arena.ring(2 * FRAME)
    arena.publish("shared", ring.scamem)
    return ring


def judge_written(ring: Any, done: bool, salt: int) -> None:
    """What can be read is what was written, part by part; the next writer goes on behind it."""
    length = len(ring)
    assert length in (0, PART, 2 * PART, 3 * PART)
    assert length == 3 * PART or not done
    ring.write(stream(salt)[length : 4 * PART])
    assert ring.read(4 * PART) == stream(salt)[: 4 * PART]


@pytest.mark.parametrize("where", PLACES)
def test_killed_while_it_writes(named: Arena, stop_nursery: Nursery, where: str) -> None:
    sweep(named, stop_nursery, write, where, empty_ring, judge_written)


def judge_turns(ring: Any, done: bool, salt: int) -> None:
    """A record is there or it is not; one that had no room is not, whatever was killed."""
    length = len(ring)
    assert length in (0, RECORD)
    assert length or not done
    if length:
        records = [stream(salt)[start : start + RECORD] for start in range(0, 6 * RECORD, RECORD)]
        assert ring.read() in records
    ring.write(stream(salt)[:RING])
    assert ring.read(RING) == stream(salt)[:RING]


@pytest.mark.parametrize("where", PLACES)
def test_killed_while_records_come_and_go(named: Arena, stop_nursery: Nursery, where: str) -> None:
    sweep(named, stop_nursery, take_turns, where, empty_ring, judge_turns)


def full_ring(arena: Arena, salt: int) -> Any:
    """What is written has a writer that is gone; this process looks on."""
    with empty_ring(arena) as ring:
        ring.write(stream(salt)[: 4 * PART])
        return scamem.RingBuffer(arena.get("shared"))


def judge_read(ring: Any, done: bool, salt: int) -> None:
    """What is left is what was not given back; the next reader gets it."""
    length = len(ring)
    assert length in (PART, 2 * PART, 3 * PART, 4 * PART)
    assert length == PART or not done
    assert ring.read(length) == stream(salt)[4 * PART - length : 4 * PART]
    ring.write(stream(salt)[: 2 * FRAME])
    assert ring.read(2 * FRAME) == stream(salt)[: 2 * FRAME]


@pytest.mark.parametrize("where", PLACES)
def test_killed_while_it_reads(named: Arena, stop_nursery: Nursery, where: str) -> None:
    sweep(named, stop_nursery, read, where, full_ring, judge_read)
