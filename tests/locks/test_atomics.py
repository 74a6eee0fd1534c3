"""`scamem.atomics`: nothing is lost between processes; what is no such element is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena, atomics
from tests.backing.children import Talk, child, in_child
from tests.locks.waiting import until

KINDS = (np.int32, np.uint32, np.int64, np.uint64)


@pytest.mark.parametrize("kind", KINDS)
def test_each_operation_returns_the_old_value(arena: Arena, kind: Any) -> None:
    x = arena.zeros((2, 3), kind)
    at = (1, -1)
    assert atomics.add(x, at, 12) == 0
    assert atomics.sub(x, at, 2) == 12
    assert atomics.and_(x, at, 6) == 10
    assert atomics.or_(x, at, 5) == 2
    assert atomics.xor(x, at, 1) == 7
    assert atomics.exchange(x, at, 9) == 6
    assert atomics.compare_exchange(x, at, 8, 1) is False
    assert atomics.compare_exchange(x, at, 9, 1) is True
    assert atomics.load(x, at) == 1 == x[1, 2]
    atomics.store(x, at, 2)
    assert x.tolist() == [[0, 0, 0], [0, 0, 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_limits(arena: Arena, kind: Any) -> None:
    x, info = arena.zeros(1, kind), np.iinfo(kind)
    for value in (int(info.min), int(info.max)):
        atomics.store(x, 0, value)
        assert atomics.load(x, 0) == value == x[0]
    assert atomics.add(x, 0, 1) == info.max
    assert atomics.load(x, 0) == info.min  # it wraps around
    for value in (int(info.min) - 1, int(info.max) + 1):
        with pytest.raises(OverflowError, match="does not fit"):
            atomics.store(x, 0, value)


def test_nothing_is_lost(arena: Arena) -> None:
    x = arena.zeros(1, np.int32)

    def add() -> None:
        for _ in range(5000):
            atomics.add(x, 0, 1)

    with child(lambda talk: add()) as one, child(lambda talk: add()) as two:
        add()
        assert one.wait() == two.wait() == 0
    assert atomics.load(x, 0) == 15_000


@pytest.mark.parametrize("dtype", ["f8", "i2", "u1", "?", "c16", ">i4", "M8[s]", "i4,i4"])
def test_other_dtypes_are_refused(arena: Arena, dtype: str) -> None:
    with pytest.raises(TypeError, match="int32, uint32, int64 and uint64"):
        atomics.load(arena.zeros(1, dtype), 0)


def test_what_is_not_shared_or_writable_is_refused(arena: Arena) -> None:
    x = arena.zeros(4, np.int64)
    obj = arena.alloc(4096)
    private = np.frombuffer(obj.map(private=True), np.int64)
    for wrong in (np.zeros(1, np.int64), x.copy(), x[[0, 1]], x + 1, private):
        with pytest.raises(TypeError, match="private memory"):
            atomics.add(wrong, 0, 1)
    with pytest.raises(TypeError, match="give an array"):
        atomics.load([1], 0)  # type: ignore[arg-type]
    for readonly in (x.readonly(), x[:2].readonly()):
        with pytest.raises(ValueError, match="read-only"):
            atomics.store(readonly, 0, 1)
        assert atomics.load(readonly, 0) == 0
    for index in (4, -5, (0, 0), ()):
        with pytest.raises(IndexError):
            atomics.load(x, index)
    with pytest.raises(TypeError):
        atomics.load(x, "0")
    shifted = x.view(np.uint8)[1:9].view(np.int64)
    with pytest.raises(ValueError, match="aligned"):
        atomics.load(shifted, 0)
    for shared in (np.frombuffer(obj.map(), np.int64), np.asarray(x), x[::2]):
        assert atomics.exchange(shared, 1, 3) in (0, 3, shared[1])


def waits(x: Any, timeout: float | None = None) -> Callable[[Talk], None]:
    def body(talk: Talk) -> None:
        talk.say()
        talk.say(atomics.wait(x, 0, 0, timeout))

    return body


@pytest.mark.parametrize("kind", [np.int32, np.uint64])
def test_wait_and_wake(arena: Arena, kind: Any) -> None:
    x = arena.zeros(1, kind)
    assert atomics.wait(x, 0, 1) is True
    assert atomics.wait(x, 0, 0, timeout=0.01) is False
    assert atomics.wake(x, 0) == 0
    with child(waits(x)) as one, child(waits(x)) as two:
        one.hear()
        two.hear()
        woken = 0

        def wake() -> bool:
            nonlocal woken
            woken += atomics.wake(x, 0, 1)  # the value is the same: they wait on
            return woken >= 4

        until(wake)
        atomics.store(x, 0, 1)
        atomics.wake(x, 0)
        assert one.hear() is two.hear() is True
        one.wait()
        two.wait()


def test_a_change_without_a_wake_is_seen(arena: Arena) -> None:
    """As after the death of the process that should have sent it."""
    x = arena.zeros(1, np.int64)
    with child(waits(x)) as waiter:
        waiter.hear()
        in_child(lambda: atomics.store(x, 0, 1 << 32))
        assert waiter.hear() is True
        waiter.wait()


def test_they_are_listed() -> None:
    assert scamem.atomics is atomics
    assert os.path.basename(str(atomics.__file__)) == "atomics.py"
