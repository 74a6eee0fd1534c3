"""Deadlines and slices, and what waits by them: timeouts that are none, signals, death, wakes."""

from __future__ import annotations

import itertools
import math
import os
import pickle
import signal
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.membership import waiting
from scamem.membership.waiting import LOOK_AGAIN_S, Deadline
from scamem.together.ring import READER_WAITS
from tests.backing.children import Talk, child

NOTHING = [-1, -1e-9, math.nan, -math.inf, np.float32("nan")]


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "time", made)
    return made


def naps(slices: Iterator[float], clock: Clock) -> list[float]:
    """Sleep as told; return the naps."""
    found = []
    for nap_s in slices:
        found.append(nap_s)
        clock.now_s += nap_s
    return found


@pytest.mark.parametrize("timeout", NOTHING)
def test_a_deadline_is_no_less_than_nothing(timeout: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Deadline(timeout)


@pytest.mark.parametrize("timeout", ["1", b"1", [1], 1j])
def test_a_deadline_is_a_number(timeout: Any) -> None:
    with pytest.raises(TypeError, match="a number of seconds"):
        Deadline(timeout)


@pytest.mark.parametrize("timeout", [1, 1.0, True, np.int64(1), np.float32(1), Fraction(1)])
def test_any_real_number_is_a_timeout(clock: Clock, timeout: Any) -> None:
    assert Deadline(timeout).left_s() == 1.0


def test_slices_end_with_a_last_look(clock: Clock) -> None:
    assert naps(Deadline(0).slices(), clock) == [0.0]
    assert naps(Deadline(2.5).slices(), clock) == [1.0, 1.0, 0.5, 0.0]
    assert naps(Deadline(0.3).slices(0.1, first_s=0.025), clock) == pytest.approx(
        [0.025, 0.05, 0.1, 0.1, 0.025, 0.0]
    )


@pytest.mark.parametrize("timeout", [None, math.inf, 1e300])
def test_no_end_is_in_slices_too(clock: Clock, timeout: float | None) -> None:
    deadline = Deadline(timeout)
    assert list(itertools.islice(deadline.slices(), 3)) == [LOOK_AGAIN_S] * 3
    assert not deadline.is_over()


def test_one_deadline_for_several_waits(clock: Clock) -> None:
    deadline = Deadline(3)
    clock.now_s += 2
    assert naps(deadline.slices(), clock) == [1.0, 0.0]
    assert deadline.is_over()
    assert naps(deadline.slices(), clock) == [0.0]


def test_it_tends_after_each_nap(clock: Clock) -> None:
    """Not before the first look, and not after the last: nobody would look at what it did."""
    events: list[object] = []
    for nap_s in Deadline(2).slices(tend=lambda: events.append("tend")):
        events.append(nap_s)
        clock.now_s += nap_s
    assert events == [1.0, "tend", 1.0, "tend", 0.0]


def test_what_tends_may_end_the_wait(clock: Clock) -> None:
    def tend() -> None:
        raise scamem.PeerDiedError("dead", pid=7)

    with pytest.raises(scamem.PeerDiedError):
        naps(Deadline(None).slices(tend=tend), clock)


def test_the_error_says_for_what_how_long_and_what_to_do() -> None:
    error = Deadline(0.25).error("a name", "no object is named 'x'", "Publish it")
    assert str(error) == "waited 0.25 s for a name; no object is named 'x'. Publish it"
    assert isinstance(error, TimeoutError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# --- what waits by them ----------------------------------------------------------------------


@pytest.mark.parametrize("timeout", NOTHING)
def test_growable_arrays_refuse_it(arena: scamem.Arena, timeout: float) -> None:
    with arena.growable(3, np.int64) as rows:
        with pytest.raises(ValueError, match="asked to wait"):
            rows.wait(0, timeout)
        rows.append([1, 2, 3])
        assert rows.wait(0, math.inf) == 1


def test_a_wait_that_is_over_says_who_is_waited_for(arena: scamem.Arena) -> None:
    with arena.ring(1) as ring:
        with pytest.raises(scamem.WaitTimeoutError, match="no process has it"):
            ring.peek(timeout=0)
        ring.write(b"x")
        with pytest.raises(scamem.WaitTimeoutError, match=f"process {os.getpid()} has it"):
            ring.peek(2, timeout=0)


@pytest.mark.parametrize("timeout", [None, math.inf, 600])
def test_a_signal_ends_a_wait(arena: scamem.Arena, timeout: float | None) -> None:
    ring = arena.ring(1)
    looks = scamem.RingBuffer(ring.scamem)

    def body(talk: Talk) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt):
            ring.peek(timeout=timeout)
        talk.say("interrupted")

    with child(body) as reader:
        while not looks.words.load(READER_WAITS):
            os.sched_yield()
        os.kill(reader.pid, signal.SIGINT)
        assert reader.hear() == "interrupted"
        reader.wait()
    looks.close()
    ring.close()


def test_time_is_the_systems() -> None:
    before_s = time.monotonic()
    assert before_s + 5 <= Deadline(5).end_s <= time.monotonic() + 5
