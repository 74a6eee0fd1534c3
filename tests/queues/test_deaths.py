"""Producers, consumers and bystanders are killed: nothing is lost, leaked, or waited for."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena
from scamem.core.store import layout as L
from tests.death.nursery import Nursery
from tests.queues import bodies
from tests.queues.bodies import WAIT_S
from tests.queues.test_queue import drained

STRIDE = 9
CHECK_EACH = 5


def plain(values: list[Any]) -> list[int]:
    """Return numbers for arrays of one value."""
    return [int(value[0]) if isinstance(value, np.ndarray) else value for value in values]


def await_waiter(jobs: Any) -> None:
    """Return once a process has announced that it waits for something of a queue."""
    member = jobs.scamem.seat.member
    queues = jobs.scamem.seat.geometry.regions()["queues_max"].start
    while not member.read_word(queues + L.QUEUE_WORDS * jobs._channel.queue + L.QUEUE_AWAITED):
        os.sched_yield()


# What is in the queue after each step of bodies.work, which begins with 0 to 2.
STATES = [[0, 1, 2], [1, 2], [1, 2, 9], [2, 9], [2, 9], [2, 9, 10]]


def test_death_at_stores(named: Arena, stop_nursery: Nursery) -> None:
    """Killed at every so-manieth store of all that a consumer and producer does."""
    jobs = named.queue("jobs")
    objects = len(named.objects())
    kills = 0
    for store in itertools.count(1, STRIDE):
        jobs.put_many([np.full(1000, 0), 1, np.full(3000, 2)])
        with stop_nursery.start(bodies.work, named.path, store) as victim:
            status = victim.wait()
            said: list[Any] = [0]
            with contextlib.suppress(EOFError):
                while True:
                    said.append(victim.hear())
        named.reap()
        found = plain(drained(jobs))
        complete = said[-1] == "done"
        step = len(STATES) - 1 if complete else said[-1]
        assert found in STATES[step : step + 2], f"after death at store {store}, step {step}"
        for _ in found:
            jobs.task_done()
        assert jobs.unfinished == jobs.leased == 0, f"after death at store {store}"
        assert len(named.objects()) == objects, f"after death at store {store}"
        if complete or kills % CHECK_EACH == 0:
            assert named.check() == [], f"after death at store {store}"
        if complete:
            assert os.WIFEXITED(status)
            break
        kills += 1
    assert kills > 40
    assert len(named.stats().members) == 1


def test_a_waiter_gets_what_a_dead_consumer_had(named: Arena, nursery: Nursery) -> None:
    """No third party reaps: the one who waits finds the dead one, and its items in their order."""
    jobs = named.queue("jobs")
    jobs.put_many([0, np.full(1000, 1), 2])
    with nursery.start(bodies.lease_and_wait, named.path, 3) as victim:
        assert plain(victim.hear()) == [0, 1, 2]
        victim.kill()
    got = [jobs.get(lease=True, timeout=WAIT_S) for _ in range(3)]
    assert plain([lease.value for lease in got]) == [0, 1, 2]
    assert [lease.attempts for lease in got] == [2, 2, 2]
    for lease in got:
        lease.done()
    assert jobs.unfinished == 0


def test_two_consumers_die_and_the_order_stays(named: Arena, nursery: Nursery) -> None:
    jobs = named.queue("jobs")
    jobs.put_many(range(10))
    with (
        nursery.start(bodies.lease_and_wait, named.path, 3) as one,
        nursery.start(bodies.lease_and_wait, named.path, 3) as other,
    ):
        assert sorted(one.hear() + other.hear()) == list(range(6))
        other.kill()
        assert named.reap() == 1
        one.kill()
        assert named.reap() == 1
    assert [jobs.get(timeout=WAIT_S), *drained(jobs)[:5]] == list(range(6))


def test_join_ends_when_a_consumer_dies(named: Arena, nursery: Nursery) -> None:
    jobs = named.queue("jobs")
    jobs.put_many(range(5))
    with nursery.start(bodies.take_and_wait, named.path, 5) as victim:
        assert victim.hear() == list(range(5))
        with pytest.raises(scamem.WaitTimeoutError):
            jobs.join(timeout=0.01)
        victim.kill()
    jobs.join(timeout=WAIT_S)


def test_what_a_dead_producer_put_stays(named: Arena, nursery: Nursery) -> None:
    jobs = named.queue("jobs")
    with nursery.start(bodies.put_arrays, named.path, 20) as producer:
        producer.wait()
    assert plain(drained(jobs)) == list(range(20))


def test_a_queue_outlives_everybody(place: Path, nursery: Nursery) -> None:
    made = Arena.create(str(place / "outlived"), capacity="64M")
    jobs = made.queue("jobs")
    jobs.put_many([np.full(1000, 0), 1])
    del jobs
    made.close()
    assert nursery.run(_all_of, str(place / "outlived")) == [0, 1]


def _all_of(path: str) -> list[int]:
    return plain(drained(bodies.open_queue(path)))


def test_a_consumer_that_waits_is_killed(named: Arena, nursery: Nursery) -> None:
    """The wake that it would have got goes to another."""
    jobs = named.queue("jobs")
    with contextlib.ExitStack() as stack:
        waiting = [
            stack.enter_context(nursery.start(bodies.take_one, named.path)) for _ in range(3)
        ]
        for one in waiting:
            assert one.hear() == "ready"
        waiting[0].kill()
        jobs.put_many([1, 2])
        assert sorted([waiting[1].hear(), waiting[2].hear()]) == [1, 2]


def test_a_stopped_consumer_keeps_its_lease_until_it_ends(named: Arena, nursery: Nursery) -> None:
    jobs = named.queue("jobs", lease_timeout=0.05)
    jobs.put("work")
    with nursery.start(bodies.lease_and_wait, named.path, 1) as stopped:
        assert stopped.hear() == ["work"]
        os.kill(stopped.pid, signal.SIGSTOP)
        stopped.await_stop()
        again = jobs.get(lease=True, lease_timeout=WAIT_S, timeout=WAIT_S)
        assert again.attempts == 2
        os.kill(stopped.pid, signal.SIGCONT)
        stopped.say("finish")
        with pytest.raises(AssertionError, match="LeaseLostError"):
            stopped.hear()
        again.done()


@pytest.mark.parametrize(("method", "args"), [("get", ()), ("put", (9,)), ("join", ())])
def test_ctrl_c_while_waiting(
    named: Arena, nursery: Nursery, method: str, args: tuple[Any, ...]
) -> None:
    jobs = named.queue("jobs", maxsize=1)
    if method != "get":
        jobs.put(1)
    with nursery.start(bodies.wait_in, named.path, method, *args) as waiting:
        await_waiter(jobs)
        os.kill(waiting.pid, signal.SIGINT)
        assert waiting.hear() == "interrupted"
        waiting.wait()
    assert plain(drained(jobs)) == ([] if method == "get" else [1])


def test_killed_workers_lose_no_work(named: Arena, nursery: Nursery) -> None:
    """Workers are killed at random while they work; each job is done at least once."""
    jobs, results = named.queue("jobs"), named.queue("results")
    chance = random.Random(11)
    count, kills = 600, 12
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(nursery.start(bodies.serve, named.path)) for _ in range(3)]
        for worker in workers:
            assert worker.hear() == "ready"
        for number in range(kills):
            jobs.put_many(range(number * count // kills, (number + 1) * count // kills))
            victim = workers.pop(chance.randrange(len(workers)))
            victim.kill()
            workers.append(stack.enter_context(nursery.start(bodies.serve, named.path)))
        jobs.join(timeout=WAIT_S)
        jobs.close()
        for worker in workers:
            worker.wait()
    done = drained(results)
    assert set(done) == {2 * k for k in range(count)}
    assert len(named.objects()) == 2
    assert len(named.stats().members) == 1
