"""Locks: taken by one thread, and by two processes in turn; against multiprocessing's."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

import scamem
from scamem import atomics

from .harness import OURS, Report, measure
from .partner import process_of

BUDGET_S = 0.3e-6  # acquire and release, uncontended
THEIRS = "multiprocessing"


def pairs(lock: Any, loops: int) -> None:
    """Acquire and release a lock."""
    for _ in range(loops):
        lock.acquire()
        lock.release()


def blocks(lock: Any, loops: int) -> None:
    """Enter and leave a block."""
    for _ in range(loops):
        with lock:
            pass


def locks(report: Report) -> None:
    """Report seconds for an acquire and a release."""
    loops, runs = report.loops(100_000), report.runs(9)
    arena = scamem.Arena.create(capacity=64 << 20)
    kinds = (
        ("Lock", arena.lock(), multiprocessing.Lock(), BUDGET_S),
        ("RLock", arena.rlock(), multiprocessing.RLock(), None),
        ("Semaphore", arena.semaphore(1), multiprocessing.Semaphore(1), None),
    )
    for name, ours, theirs, budget in kinds:
        what = f"{name}: acquire and release"
        report.add(what, measure(lambda n, lock=ours: pairs(lock, n), loops, runs), budget=budget)
        report.add(what, measure(lambda n, lock=theirs: pairs(lock, n), loops, runs), who=THEIRS)
    what = "Lock: a with block"
    report.add(what, measure(lambda n: blocks(kinds[0][1], n), loops, runs))
    report.add(what, measure(lambda n: blocks(kinds[0][2], n), loops, runs), who=THEIRS)
    counter = arena.zeros(1, np.int64)

    def add(loops: int) -> None:
        for _ in range(loops):
            atomics.add(counter, 0, 1)

    report.add("atomics.add", measure(add, loops, runs))
    for who, lock in ((OURS, kinds[0][1]), (THEIRS, kinds[0][2])):
        times = [contended(lock, report.loops(20_000)) for _ in range(report.runs(7))]
        report.add("Lock: two processes that both want it", times, who=who)
    for _, ours, _, _ in kinds:
        ours.close()

    arena.close()


def take_turns(pipe: Connection, lock: Any, loops: int) -> None:
    """Take a lock again and again, at the same time as the other process."""
    pipe.send(None)
    pipe.recv()
    pairs(lock, loops)
    pipe.send(None)


def contended(lock: Any, loops: int) -> float:
    """Return the seconds for an acquire and a release while another process does the same."""
    with process_of(take_turns, lock, loops) as (_, pipe):
        pipe.recv()
        start = time.perf_counter()
        pipe.send(None)
        pairs(lock, loops)
        pipe.recv()
        return (time.perf_counter() - start) / (2 * loops)
