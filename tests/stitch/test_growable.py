"""Growable arrays: rows that are there stay, whoever appends, follows, or is killed."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import threading
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import Talk, child

FRAME = 4096
SEQUENCE = 8  # numbers of a row


def follow(rows: scamem.GrowableArray, answers: Connection) -> None:
    """Follow an array to its end, and say what was in it."""
    seen, total = 0, 0.0
    while (length := rows.wait(seen)) > seen:
        total += float(rows[seen:length].sum())
        seen = length
    answers.send((seen, total))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_reader_follows(arena: scamem.Arena, method: str) -> None:
    rows = arena.growable((3,))
    context: Any = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    reader = context.Process(target=follow, args=(rows, theirs))
    reader.start()  # it has a reference of its own from here on: a pool pickles when it likes
    for number in range(3000):
        rows.append([number, 1, 2])
    rows.extend(np.ones((5000, 3)))
    rows.close()
    assert ours.recv() == (8000, sum(range(3000)) + 9000 + 15000)
    reader.join()


def test_rows_stay_where_they_are(arena: scamem.Arena) -> None:
    rows = arena.growable(dtype=np.int64)
    rows.append(1)
    first = rows.array
    assert rows.array is first  # nothing grew
    others = [arena.alloc(FRAME) for _ in range(20)]  # so that it grows in several runs
    for start in range(0, 50_000, 5000):
        rows.extend(np.arange(start, start + 5000))
        others.append(arena.alloc(FRAME))
    assert len(first) == 1
    assert np.shares_memory(first, rows.array)
    assert np.array_equal(rows.array[1:], np.arange(50_000))
    assert rows.shape == (50_001,)
    assert rows.nbytes == 50_001 * 8
    assert rows[-1] == 49_999
    assert np.asarray(rows).sum() == 1 + sum(range(50_000))
    assert len(rows.scamem.runs) > 1
    assert not rows.array.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        rows.array.flags.writeable = True
    assert rows.array.snapshot(copy=False)[0] == 1
    assert arena.check() == []


def test_its_rows_go_by_handle_and_outlive_it(arena: scamem.Arena) -> None:
    rows = arena.growable(2, [("at", "f8"), ("name", "U5")])
    rows.append([(1.5, "one"), (2.5, "two")])
    found = scamem.from_handle(bytes(scamem.handle(rows.array)))
    kept = rows.array
    arena["rows"] = rows
    rows.close()
    assert found[0, 1]["name"] == "two"
    again = scamem.GrowableArray(arena["rows"])
    assert again.dtype == kept.dtype
    again.append(np.zeros(2, again.dtype))
    assert len(again) == 2
    assert kept[0, 0]["at"] == 1.5
    del arena["rows"]


def test_one_writes_at_a_time(arena: scamem.Arena) -> None:
    rows = arena.growable()

    def body(talk: Talk) -> None:
        rows.append(1)
        talk.say()
        talk.hear()

    with child(body) as other:
        other.hear()
        with pytest.raises(scamem.BusyError) as caught:
            rows.append(2)
        assert caught.value.pid == other.pid
        other.kill()
        rows.append(3)
    assert rows.array.tolist() == [1, 3]
    again = scamem.GrowableArray(scamem.from_handle(bytes(scamem.handle(rows))))
    with pytest.raises(scamem.BusyError):
        again.append(4)
    rows.close()
    again.append(4)
    assert again.array.tolist() == [1, 3, 4]


def test_a_follower_hears_of_its_writers_death(arena: scamem.Arena) -> None:
    rows = arena.growable()

    def body(talk: Talk) -> None:
        rows.append(1)
        talk.say()
        talk.hear()

    with child(body) as writer:
        writer.hear()
        killer = threading.Thread(target=writer.kill)
        killer.start()
        with pytest.raises(scamem.PeerDiedError):
            rows.wait(1)
        killer.join()
    assert rows.wait(0) == 1
    with pytest.raises(scamem.WaitTimeoutError):
        arena.growable().wait(0, timeout=0)


def test_what_does_not_fit_appends_nothing(arena: scamem.Arena) -> None:
    rows = arena.growable(3, reserve=10 * FRAME)
    rows.append(0)  # broadcast, as assignment does
    for wrong in ([1, 2], ["x", "y", "z"]):
        with pytest.raises(ValueError):
            rows.append(wrong)
    with pytest.raises(ValueError, match="rows of shape"):
        rows.extend(np.zeros((2, 4)))
    with pytest.raises(scamem.OutOfMemoryError) as caught:
        rows.extend(np.zeros((10_000, 3)))
    assert caught.value.limit == "reserved addresses"
    with pytest.raises(TypeError, match="Python objects"):
        arena.growable(dtype=object)
    assert len(rows) == 1
    rows.close()
    with pytest.raises(scamem.ClosedError):
        rows.append(1)
    ring = arena.ring(1)
    with pytest.raises(scamem.ScamemError, match="not a growable"):
        scamem.GrowableArray(ring.scamem)


def append_for_ever(rows: scamem.GrowableArray, talk: Talk) -> None:
    """Append rows of a sequence, each of numbers that name it, one by one and many at once."""
    for number in itertools.count(len(rows)):
        if number % 100:
            rows.append(np.full(SEQUENCE, len(rows)))
        else:
            start = len(rows)
            block = np.repeat(np.arange(start, start + 64), SEQUENCE).reshape(64, SEQUENCE)
            rows.extend(block)
        if number % 50 == 0:
            talk.say(number)


def test_killed_at_random_no_row_is_half_there(arena: scamem.Arena) -> None:
    """The writer is killed anywhere, again and again; the next one goes on where it was."""
    rows = arena.growable(SEQUENCE, np.int64)
    seed = int.from_bytes(os.urandom(4), "little")
    chance = random.Random(seed)
    before = 0
    for _ in range(25):
        with child(lambda talk: append_for_ever(rows, talk)) as writer:
            for _ in range(chance.randrange(1, 12)):
                writer.hear()
                check_rows(rows.array, seed)
            writer.kill()
        length = len(rows)
        assert length >= before, f"seed {seed}"
        before = length
        check_rows(rows.array, seed)
    arena.reap()
    assert arena.check() == []


def check_rows(found: Any, seed: int) -> None:
    expected = np.arange(len(found))[:, None]
    assert (found == expected).all(), f"seed {seed}"
