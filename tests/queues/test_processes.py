"""Queues between processes: fork, spawn, pools, one line instead of multiprocessing's."""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena
from tests.queues.test_queue import drained

WAIT_S = 60.0


def double(jobs: Any, results: Any) -> None:
    for value in jobs:
        results.put(value * 2)
        jobs.task_done()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers(arena: Arena, method: str) -> None:
    jobs, results = arena.queue(maxsize=4), arena.queue()
    context: Any = mp.get_context(method)
    workers = [context.Process(target=double, args=(jobs, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for k in range(20):
        jobs.put(np.full(1000, k), timeout=WAIT_S)
    jobs.close()
    jobs.join(timeout=WAIT_S)
    for worker in workers:
        worker.join(WAIT_S)
        assert worker.exitcode == 0
    assert sorted(int(value[0]) for value in drained(results)) == list(range(0, 40, 2))


def test_a_child_has_no_lease_and_counts_for_itself(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put_many([1, 2, 3])
    lease = jobs.get(lease=True)
    jobs.get()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with pytest.raises(scamem.LeaseLostError):
                lease.done()
            with pytest.raises(ValueError, match="more often"):
                jobs.task_done()
            if jobs.get() == 3:
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    arena.reap()
    assert jobs.unfinished == 2  # the child's item counts as done
    lease.done()
    jobs.task_done()
    assert jobs.unfinished == 0


def test_a_dropped_lease_in_a_child_changes_nothing(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put(1)
    lease = jobs.get(lease=True)
    pid = os.fork()
    if pid == 0:
        del lease
        os._exit(0)
    os.waitpid(pid, 0)
    assert (jobs.leased, jobs.qsize()) == (1, 0)
    lease.done()


def test_a_closed_arena_settles_at_once(arena: Arena) -> None:
    """A process that closes the arena leaves, and what it took counts as done."""
    jobs = arena.queue()
    jobs.put_many([1, 2])
    other = mp.get_context("fork").Process(target=_take_and_close, args=(jobs,))
    other.start()
    other.join(WAIT_S)
    assert other.exitcode == 0
    jobs.join(timeout=WAIT_S)
    assert [member.pid for member in arena.stats().members] == [os.getpid()]


def _take_and_close(jobs: Any) -> None:
    jobs.get()
    jobs.get(lease=True).done()
    seat = jobs.scamem.seat
    del jobs
    seat.arena.close()


def test_the_example_of_multiprocessing(arena: Arena) -> None:
    """What runs with multiprocessing.JoinableQueue runs with a queue of an arena."""
    for made in (mp.get_context("fork").JoinableQueue(), arena.queue()):
        made.put("one")
        made.put("two")
        assert not made.full()
        assert made.get(True, WAIT_S) == "one"
        assert made.get(timeout=WAIT_S) == "two"
        with pytest.raises(queue.Empty):
            made.get_nowait()
        made.task_done()
        made.task_done()
        made.join()
        made.close()
        made.join_thread()
        with pytest.raises(ValueError):
            made.put("three")
