"""Conditions, events and barriers: as threading's, and what each death does."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scamem import Arena, OwnerDiedError
from scamem.core.sync import places as P
from tests.backing.children import Talk, child, in_child
from tests.locks.test_locks import in_thread, killed_with
from tests.locks.waiting import entries, until


@pytest.fixture(params=["own", "lock", "rlock"])
def condition(arena: Arena, request: pytest.FixtureRequest) -> Iterator[Any]:
    lock = None if request.param == "own" else getattr(arena, request.param)()
    made = arena.condition(lock)
    yield made
    made.close()
    if lock is not None:
        lock.close()


def wait(condition: Any) -> Any:
    def body(talk: Talk) -> None:
        with condition:
            talk.say(condition.wait())

    return body


def test_it_needs_its_lock(condition: Any) -> None:
    for call in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(RuntimeError, match="does not hold"):
            call()
    with condition:
        assert condition.locked()
        assert condition.wait(timeout=0) is False
        assert condition.wait_for(lambda: 7) == 7
        assert condition.wait_for(lambda: 0, timeout=0.01) == 0
    assert not condition.locked()


def test_it_wakes_as_many_as_it_is_told(condition: Any) -> None:
    with (
        child(wait(condition)) as one,
        child(wait(condition)) as two,
        child(wait(condition)) as last,
    ):
        until(lambda: entries(condition, P.SLEEPING) == 3)
        with condition:
            condition.notify(2)
        until(lambda: entries(condition, P.SLEEPING) + entries(condition, P.NOTIFIED) == 1)
        with condition:
            condition.notify_all()
        assert [process.hear() for process in (one, two, last)] == [True] * 3
        for process in (one, two, last):
            process.wait()
    with condition:
        condition.notify()  # for nobody, and not kept
        assert condition.wait(timeout=0) is False


def test_a_recursive_lock_is_released_whole(arena: Arena) -> None:
    condition = arena.condition()

    def notify() -> None:
        with condition:
            condition.notify()

    with condition, condition:
        thread = threading.Thread(target=notify)
        thread.start()
        assert condition.wait()
        thread.join()
        assert in_child(lambda: condition.acquire(False)) is False
    assert in_child(lambda: condition.acquire(False)) is True


def test_a_dead_waiter_swallows_nothing(condition: Any) -> None:
    """Neither one that died asleep, nor one that died between its wake and the lock."""
    with child(wait(condition)) as asleep:
        until(lambda: entries(condition, P.SLEEPING) == 1)
        with child(wait(condition)) as woken:
            until(lambda: entries(condition, P.SLEEPING) == 2)
            with child(wait(condition)) as last:
                until(lambda: entries(condition, P.SLEEPING) == 3)
                asleep.kill()
                with condition:
                    condition.notify()
                    assert entries(condition, P.NOTIFIED) == 1
                    woken.kill()  # it has not got the lock
                assert last.hear() is True
                last.wait()


def test_an_interrupted_waiter_hands_its_wake_on(arena: Arena) -> None:
    condition = arena.condition()

    def interrupted(talk: Talk) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt), condition:
            condition.wait()
        talk.say("interrupted")

    with child(interrupted) as waiter, child(wait(condition)) as other:
        until(lambda: entries(condition, P.SLEEPING) == 2)
        os.kill(waiter.pid, signal.SIGINT)
        with condition:
            condition.notify()
        until(lambda: entries(condition, P.NOTIFIED) == 0)
        with condition:
            condition.notify_all()
        assert waiter.hear() == "interrupted"
        assert other.hear() is True
        waiter.wait()
        other.wait()


def test_the_lock_of_a_dead_holder(arena: Arena) -> None:
    condition = arena.condition()
    killed_with(condition.acquire)
    with pytest.raises(OwnerDiedError, match="condition"):
        condition.acquire()
    assert condition.recovered
    condition.release()
    with child(lambda talk: sleeper(condition, talk)) as waiter:
        until(lambda: entries(condition, P.SLEEPING) == 1)
        killed_with(lambda: (condition.acquire(), condition.notify()))
        assert waiter.hear() == "holds it"
        waiter.wait()


def sleeper(condition: Any, talk: Talk) -> None:
    condition.acquire()
    try:
        condition.wait()
    except OwnerDiedError:
        condition.notify()  # only its holder may
        condition.release()
        talk.say("holds it")


def test_a_condition_travels_with_its_lock(condition: Any) -> None:
    other = pickle.loads(pickle.dumps(condition))
    with other:
        assert in_thread(lambda: condition.acquire(False)) is False
    with condition:
        pass
    other.close()
    other.lock.close()


# --- events --------------------------------------------------------------------------------------


def test_an_event(arena: Arena) -> None:
    event = arena.event()
    assert not event.is_set()
    assert event.wait(timeout=0.01) is False
    in_child(event.set)
    assert event.is_set()
    assert event.wait() is True
    event.clear()
    assert not event.is_set()
    killed_with(event.set)
    assert event.wait(0) is True


def test_an_event_wakes_all_and_counts_even_if_cleared(arena: Arena) -> None:
    event = arena.event()

    def body(talk: Talk) -> None:
        talk.say()
        talk.say(event.wait())

    with child(body) as one, child(body) as two:
        for process in (one, two):
            process.hear()
            stat = Path(f"/proc/{process.pid}/wchan")
            until(lambda stat=stat: "futex" in stat.read_text())
        event.set()
        event.clear()
        assert [one.hear(), two.hear()] == [True, True]
        one.wait()
        two.wait()


# --- barriers ------------------------------------------------------------------------------------


def meet(barrier: Any, times: int = 1) -> Any:
    def body(talk: Talk) -> None:
        try:
            for _ in range(times):
                talk.say(barrier.wait())
        except threading.BrokenBarrierError:
            talk.say("broken")

    return body


def test_parties_meet_again_and_again(arena: Arena) -> None:
    barrier = arena.barrier(3)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)
    with child(meet(barrier, 20)) as one, child(meet(barrier, 20)) as two:
        for _ in range(20):
            assert {barrier.wait(), one.hear(), two.hear()} == {0, 1, 2}
        one.wait()
        two.wait()
    with pytest.raises(ValueError, match="1 to"):
        arena.barrier(0)


def test_a_party_that_dies_breaks_it(arena: Arena) -> None:
    barrier = arena.barrier(3)
    with child(meet(barrier)) as dies, child(meet(barrier)) as waits:
        until(lambda: barrier.n_waiting == 2)
        dies.kill()
        assert waits.hear() == "broken"
        waits.wait()
    assert barrier.broken
    assert barrier.n_waiting == 0
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    with child(meet(barrier)) as one, child(meet(barrier)) as two:
        assert {barrier.wait(), one.hear(), two.hear()} == {0, 1, 2}
        one.wait()
        two.wait()


def test_the_last_one_does_not_count_a_dead_party(arena: Arena) -> None:
    barrier = arena.barrier(2)
    with child(meet(barrier)) as dies:
        until(lambda: barrier.n_waiting == 1)
        dies.kill()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()


def test_timeouts_aborts_and_resets_break_it(arena: Arena) -> None:
    barrier = arena.barrier(2, timeout=0.01)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    for end in (barrier.abort, barrier.reset):
        with child(meet(pickle.loads(pickle.dumps(barrier)))) as party:
            until(lambda: barrier.n_waiting == 1 or barrier.broken)
            end()
            assert party.hear() == "broken"
            party.wait()
    barrier.reset()
    assert not barrier.broken


def test_the_action_runs_once_before_anybody_is_released(arena: Arena) -> None:
    done: list[int] = []
    barrier = arena.barrier(2, action=lambda: done.append(1))
    thread = threading.Thread(target=barrier.wait)
    thread.start()
    barrier.wait()
    thread.join()
    assert done == [1]

    def fails() -> None:
        raise LookupError

    broken = arena.barrier(1, action=fails)
    with pytest.raises(LookupError):
        broken.wait()
    assert broken.broken


def test_a_barrier_by_name_has_one_number(place: Path) -> None:
    with Arena.create("barriers", capacity=16 << 20) as arena:
        kept = arena.barrier(2, "meet")
        assert arena.barrier(2, "meet").parties == 2
        with pytest.raises(ValueError, match="that one has 2"):
            arena.barrier(3, "meet")
        kept.close()
        del arena["meet"]
