"""Many processes, killed at random or at each store: mutual exclusion, and progress."""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scamem import Arena, OwnerDiedError
from scamem.core.sync import places as P
from tests.backing.children import Talk
from tests.death.nursery import Nursery
from tests.stitch.test_kills import Stop

PROCESSES = 16
KILLS = 24
COUNTED = 4000


@pytest.fixture
def named(place: Path) -> Iterator[Arena]:
    with Arena.create(str(place / "arena"), capacity=16 << 20, slots=40) as made:
        made.alloc(4096).close()
        yield made
        assert made.objects() == []
        assert made.check() == []


def hammer(talk: Talk, path: str, kind: str) -> None:
    """Count in two words that must agree outside the lock, for ever."""
    arena = Arena.join(path)
    counts = arena.get("counts")
    lock = arena.lock("lock") if kind == "lock" else arena.rwlock("lock")
    acquire = getattr(lock, "acquire_write", None) or lock.acquire
    release = getattr(lock, "release_write", None) or lock.release
    own = 2 + int(talk.hear())
    while True:
        try:
            acquire()
        except OwnerDiedError:
            counts[1] = counts[0]  # repaired: the one who died had stored the first, or neither
        assert counts[0] == counts[1]
        counts[0] += 1
        counts[1] += 1
        counts[own] += 1
        release()


@pytest.mark.parametrize("kind", ["lock", "rwlock"])
def test_sixteen_processes_and_kills(named: Arena, nursery: Nursery, kind: str) -> None:
    """All count, whichever are killed; a process that is not killed is not left behind."""
    named["counts"] = np.zeros(2 + PROCESSES, np.int64)
    counts = named.get("counts")
    lock: Any = named.lock("lock") if kind == "lock" else named.rwlock("lock")
    chance = random.Random(7)
    victims = []
    for number in range(PROCESSES):
        victims.append(nursery.start(hammer, named.path, kind))
        victims[-1].say(number)
    survivors = range(PROCESSES // 2)
    for _ in range(KILLS):
        number = chance.randrange(len(survivors), PROCESSES)
        before = int(counts[2 + number])
        while counts[2 + number] == before:  # it works: kill it somewhere in there
            os.sched_yield()
        victims[number].kill()
        victims[number].close()
        victims[number] = nursery.start(hammer, named.path, kind)
        victims[number].say(number)
    least = counts[2 : 2 + len(survivors)] + 20
    while (counts[2 : 2 + len(survivors)] < least).any():  # nobody starves
        os.sched_yield()
    for victim in victims:
        victim.kill()
        victim.close()
    acquire = getattr(lock, "acquire_write", None) or lock.acquire
    try:
        acquire()
    except OwnerDiedError:
        counts[1] = counts[0]
    assert counts[0] == counts[1] >= KILLS
    (getattr(lock, "release_write", None) or lock.release)()
    lock.close()
    del counts
    named.clear()


# --- at each store -------------------------------------------------------------------------------


def take_lock(arena: Arena) -> Any:
    return arena.lock("shared")


def use_lock(lock: Any) -> None:
    for _ in range(2):
        lock.acquire()
        lock.release()
        lock.acquire(timeout=1)
        lock.release()


def use_rlock(lock: Any) -> None:
    with lock, lock:
        pass


def use_semaphore(permits: Any) -> None:
    for _ in range(2):
        permits.acquire()
        permits.acquire(timeout=1)
        permits.release()
        permits.release()


def use_rwlock(lock: Any) -> None:
    with lock.read(), lock.read():
        pass
    with lock.write():
        pass


def use_condition(condition: Any) -> None:
    with condition:
        condition.notify_all()
        condition.wait(timeout=0)
        condition.notify()


def use_event(event: Any) -> None:
    event.set()
    event.clear()
    event.wait(0)
    event.set()


def use_barrier(barrier: Any) -> None:
    barrier.wait()
    barrier.abort()
    barrier.reset()
    barrier.wait()


USES: dict[str, tuple[Callable[[Arena], Any], Callable[[Any], None]]] = {
    "lock": (take_lock, use_lock),
    "rlock": (lambda arena: arena.rlock("shared"), use_rlock),
    "semaphore": (lambda arena: arena.semaphore(2, "shared"), use_semaphore),
    "rwlock": (lambda arena: arena.rwlock("shared"), use_rwlock),
    "condition": (lambda arena: arena.condition(None, "shared"), use_condition),
    "event": (lambda arena: arena.event("shared"), use_event),
    "barrier": (lambda arena: arena.barrier(1, "shared"), use_barrier),
}


def victim(talk: Talk, path: str, kind: str, stores: int) -> None:
    make, use = USES[kind]
    shared = make(Arena.join(path))
    stop = Stop("head", path, shared.words)
    stop.arm(stores)
    use(shared)
    talk.say(stop.count(stores))


@pytest.mark.parametrize("kind", USES)
def test_killed_at_each_store(named: Arena, stop_nursery: Nursery, kind: str) -> None:
    """Whatever it was doing, the next one can do all of it, and is told only of a dead holder."""
    make, use = USES[kind]
    for store in itertools.count(1):
        shared = make(named)
        with stop_nursery.start(victim, named.path, kind, store) as process:
            status = process.wait()
            done = os.WIFEXITED(status)
            stores = process.hear() if done else 0
        assert done or os.WTERMSIG(status) == signal.SIGKILL
        told = 0
        for _ in range(3):
            try:
                if kind == "barrier":
                    shared.reset()
                use(shared)
                break
            except OwnerDiedError:
                told += 1
                release = getattr(shared, "release_read", None) or shared.release
                release()
                if kind == "rwlock":
                    with pytest.raises(OwnerDiedError):
                        shared.acquire_write()
                    shared.release_write()
        assert told <= 1
        if kind == "semaphore":
            assert shared.value == 2
        shared.close()
        named.clear()
        if done:
            break
    assert store > 3
    assert stores < store
    print(f"{kind}: killed at each of {stores} stores")


def test_the_words_of_the_stop_hook_are_free() -> None:
    places = [value for name, value in vars(P).items() if name.isupper() and value < P.ENTRIES]
    assert not {32, 33, 34, 35} & set(places) - {P.WHAT_SHIFT}
