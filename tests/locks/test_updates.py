"""`Array.write` and `read_consistent`: a reader gets all of an update or nothing."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena, TornError
from tests.backing.children import Talk, child, in_child
from tests.locks.test_locks import in_thread, killed_with

ROUNDS = 300


def test_it_is_the_array_and_a_private_copy(arena: Arena) -> None:
    x = arena.array([1, 2, 3])
    with x.write() as same:
        assert same is x
        x += 1
        assert x.read_consistent().tolist() == [2, 3, 4]  # its own writer does not wait
    found = x.read_consistent()
    assert type(found) is np.ndarray
    assert found.tolist() == [2, 3, 4]
    assert not np.shares_memory(found, x)
    assert in_child(lambda: x[1:].read_consistent().tolist()) == [3, 4]


def test_readers_never_get_half(arena: Arena) -> None:
    x = arena.zeros(20_000, np.int64)

    def write(talk: Talk) -> None:
        for number in range(1, ROUNDS):
            with x.write():
                x[:] = number
        talk.say("done")
        talk.hear()

    with child(write) as one, child(write) as two:
        seen = set()
        while not {ROUNDS - 1} <= seen:
            found = x.read_consistent()
            assert (found == found[0]).all()
            seen.add(int(found[0]))
        assert one.hear() == two.hear() == "done"
        one.kill()
        two.kill()
    assert len(seen) > 1


def test_a_dead_writer_is_seen(arena: Arena) -> None:
    x = arena.zeros(2)
    y = x[:1]

    def die() -> None:
        x.write().__enter__()
        x[0] = 1

    pid = killed_with(die)
    for array in (x, y, x.readonly()):
        with pytest.raises(TornError, match="died") as caught:
            array.read_consistent()
        assert caught.value.pid == pid
    killed_with(die)
    update = x.write()
    with update:
        assert update.recovered
        x[:] = 7
    assert x.read_consistent().tolist() == [7, 7]
    with x.write():
        assert not x.write().recovered
    assert arena.check() == []


def test_an_update_that_fails_is_as_dead(arena: Arena) -> None:
    x = arena.zeros(2)
    with pytest.raises(LookupError), x.write():
        raise LookupError
    with pytest.raises(TornError):
        x.read_consistent()
    with x.write():
        x[:] = 1
    assert x.read_consistent().tolist() == [1, 1]


def test_writers_take_turns(arena: Arena) -> None:
    x = arena.zeros(1, np.int64)

    def add() -> None:
        for _ in range(200):
            with x.write():
                x[0] += 1

    with child(lambda talk: add()) as one:
        thread = threading.Thread(target=add)
        thread.start()
        add()
        thread.join()
        assert one.wait() == 0
    assert x[0] == 600
    with x.write():
        with pytest.raises(RuntimeError, match="wait for itself"), x.write():
            pass
        assert in_child(lambda: too_late(x)) == 2
        assert in_thread(lambda: too_late(x)) == 2
    assert x.read_consistent().tolist() == [600]


def too_late(x: Any) -> int:
    """How many of two waits were over before the update was."""
    late = 0
    for call in (lambda: x.read_consistent(timeout=0.01), lambda: x.write(0.01).__enter__()):
        try:
            call()
        except scamem.WaitTimeoutError:
            late += 1
    return late


def test_a_child_has_no_part_in_its_parents_update(arena: Arena) -> None:
    x = arena.zeros(1)
    update = x.write()
    with update:
        in_child(lambda: update.__exit__(None))
        assert in_child(lambda: too_late(x)) == 2
        x[0] = 1
    assert x.read_consistent().tolist() == [1]


def test_what_cannot_be_updated(arena: Arena) -> None:
    x = arena.zeros(4)
    with pytest.raises(ValueError, match="read-only"):
        x.readonly().write()
    private = np.sort(x).view(scamem.Array)
    for call in (private.write, private.read_consistent):
        with pytest.raises(TypeError, match="private memory"):
            call()


def test_the_number_goes_with_the_object(arena: Arena) -> None:
    """A new object in the same frames and the same record was never written."""
    for _ in range(5):
        x = arena.zeros(1)
        with pytest.raises(LookupError), x.write():
            raise LookupError
        del x
        gc.collect()
        x = arena.zeros(1)
        assert x.read_consistent().tolist() == [0]
    assert arena.check() == []
