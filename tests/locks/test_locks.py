"""Lock and RLock: as threading's, between processes, and what each death does."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena, OwnerDiedError
from tests.backing.children import Talk, child, in_child, run_script
from tests.locks.waiting import until, waits_for

Make = Callable[..., Any]
MAKES = [Arena.lock, Arena.rlock]


def in_thread(body: Callable[[], object]) -> Any:
    """What `body` returns in a thread of its own."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(body()))
    thread.start()
    thread.join()
    return found[0]


def killed_with(acquire: Callable[[], object]) -> int:
    """Let a forked child acquire something, and kill it; its pid."""

    def body(talk: Talk) -> None:
        acquire()
        talk.say()
        talk.hear()

    with child(body) as holder:
        holder.hear()
        holder.kill()
        return holder.pid


@pytest.mark.parametrize("make", MAKES)
def test_as_in_threading(arena: Arena, make: Make) -> None:
    with make(arena) as entered:
        assert entered is True
    lock = make(arena)
    assert lock.acquire() is True
    assert lock.locked()
    assert in_thread(lambda: lock.acquire(blocking=False)) is False
    assert in_thread(lambda: lock.acquire(timeout=0.01)) is False
    assert in_child(lambda: lock.acquire(False)) is False
    lock.release()
    assert not lock.locked()
    assert in_child(lambda: lock.acquire(True, 5)) is True
    with pytest.raises(ValueError, match="not to wait"):
        lock.acquire(False, 5)
    with pytest.raises(ValueError, match="0 or more"):
        lock.acquire(timeout=-2)
    lock.close()
    with pytest.raises(scamem.ClosedError):
        lock.acquire()


@pytest.mark.parametrize("make", MAKES)
def test_only_the_thread_that_holds_it_releases_it(arena: Arena, make: Make) -> None:
    lock = make(arena)

    def release() -> str:
        try:
            lock.release()
        except RuntimeError as error:
            return str(error)
        return ""

    assert "does not hold" in release()
    with lock:
        assert "does not hold" in in_thread(release)
        assert "does not hold" in in_child(release)
        assert lock.locked()


def test_a_lock_is_not_reentrant_and_an_rlock_is(arena: Arena) -> None:
    lock, again = arena.lock(), arena.rlock()
    with lock:
        assert lock.acquire(timeout=0) is False
    with again, again:
        assert again.acquire(timeout=0.5)
        again.release()
        assert in_child(lambda: again.acquire(False)) is False
    assert in_thread(lambda: again.acquire(False)) is True
    assert again.acquire(False) is False  # the thread ended with it, as in threading


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("how", [{}, {"timeout": 60}, {"blocking": False}])
def test_the_next_one_holds_it_and_is_told(arena: Arena, make: Make, how: dict[str, Any]) -> None:
    lock = make(arena)
    pid = killed_with(lock.acquire)
    assert lock.locked()
    with pytest.raises(OwnerDiedError, match=f"process {pid} died") as caught:
        lock.acquire(**how)
    assert caught.value.pid == pid
    assert pickle.loads(pickle.dumps(caught.value)).pid == pid
    assert lock.recovered
    assert in_child(lambda: lock.acquire(False)) is False
    lock.release()
    with lock:
        assert not lock.recovered


def test_or_it_recovers(arena: Arena) -> None:
    lock = arena.lock(on_owner_death="recover")
    killed_with(lock.acquire)
    with lock:
        assert lock.recovered
    with lock:
        assert not lock.recovered
    with pytest.raises(ValueError, match="on_owner_death"):
        arena.lock(on_owner_death="ignore")


def test_each_that_dies_with_it_is_told_of(arena: Arena) -> None:
    """The one that was told may die before it has repaired anything."""
    lock = arena.lock(on_owner_death="recover")
    killed_with(lock.acquire)
    killed_with(lock.acquire)
    assert lock.acquire()
    assert lock.recovered
    lock.release()


@pytest.mark.parametrize("make", MAKES)
def test_a_waiter_takes_it_over(arena: Arena, make: Make) -> None:
    """Nobody else is there who looks."""
    lock = make(arena)

    def hold(talk: Talk) -> None:
        lock.acquire()
        talk.say()
        talk.hear()

    def wait(talk: Talk) -> None:
        try:
            lock.acquire()
        except OwnerDiedError as error:
            talk.say(error.pid)
        talk.hear()

    with child(hold) as holder:
        holder.hear()
        with child(wait) as waiter:
            until(lambda: waits_for(lock))
            holder.kill()
            assert waiter.hear() == holder.pid
            waiter.kill()
    with pytest.raises(OwnerDiedError):
        lock.acquire()
    lock.release()


def test_a_stopped_holder_keeps_it(arena: Arena) -> None:
    lock = arena.lock()

    def hold(talk: Talk) -> None:
        with lock:
            talk.say()
            talk.hear()
        talk.say()

    with child(hold) as holder:
        holder.hear()
        os.kill(holder.pid, signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(holder.pid, os.WUNTRACED)[1])
        assert lock.acquire(timeout=0.05) is False
        os.kill(holder.pid, signal.SIGCONT)
        holder.say()
        assert lock.acquire(timeout=60) is True
        assert not lock.recovered
        lock.release()


def test_a_forked_child_holds_nothing(arena: Arena) -> None:
    lock = arena.lock()
    with lock:
        assert in_child(lambda: (lock.locked(), lock.acquire(timeout=0.01))) == (True, False)
        in_child(lock.close)  # nor does it give its parent's up
        assert lock.locked()
        assert not in_child(lambda: lock.acquire(False))


@pytest.mark.parametrize("leave", ["close", "drop", "arena"])
def test_a_holder_that_leaves_is_as_dead(place: Path, leave: str) -> None:
    with Arena.create("leaving", capacity=16 << 20) as arena:
        lock = arena.lock("lock")

        def body() -> bool:
            joined = Arena.join("leaving")
            held = joined.lock("lock")
            held.acquire()
            if leave == "close":
                held.close()
            elif leave == "arena":
                joined.close()
            del held
            return lock.acquire(False) if leave == "never" else True

        assert in_child(body)
        with pytest.raises(OwnerDiedError):
            lock.acquire()
        lock.release()
        lock.close()
        del arena["lock"]


def test_dropping_the_last_opening_gives_it_up(arena: Arena) -> None:
    lock = arena.lock()
    other = pickle.loads(pickle.dumps(lock))
    assert other.acquire()
    del other
    with pytest.raises(OwnerDiedError):
        lock.acquire()
    lock.release()


def test_ctrl_c_ends_a_wait(arena: Arena) -> None:
    lock = arena.lock()

    def body(talk: Talk) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt):
            lock.acquire()
        talk.say("interrupted")

    with lock, child(body) as waiter:
        until(lambda: waits_for(lock))
        os.kill(waiter.pid, signal.SIGINT)
        assert waiter.hear() == "interrupted"
        waiter.wait()
    assert lock.acquire(timeout=0)
    lock.release()


def spawned(lock: Any, counter: Any, times: int) -> None:
    for _ in range(times):
        with lock:
            counter[0] += 1


def test_it_travels(arena: Arena) -> None:
    """By spawn in arguments, by fork, and in plain pickles; in a thread too."""
    lock, counter = arena.lock(on_owner_death="recover"), arena.zeros(1, np.int64)
    context = get_context("spawn")
    processes = [context.Process(target=spawned, args=(lock, counter, 200)) for _ in range(2)]
    for process in processes:
        process.start()
    in_child(lambda: spawned(lock, counter, 200))
    in_thread(lambda: spawned(pickle.loads(pickle.dumps(lock)), counter, 200))
    for process in processes:
        process.join()
        assert process.exitcode == 0
        process.close()
    assert counter[0] == 800


STRANGER = """
    import scamem
    arena = scamem.Arena.join({path!r})
    lock = arena.{make}("the lock")
    print(lock.acquire(timeout=0))
"""


@pytest.mark.parametrize("make", MAKES)
def test_unrelated_processes_find_it_by_name(place: Path, make: Make) -> None:
    with Arena.create("strangers", capacity=16 << 20) as arena:
        lock = make(arena, "the lock")
        script = STRANGER.format(path=arena.path, make=make.__name__)
        with lock:
            assert run_script(script) == "False\n"
        assert run_script(script) == "True\n"
        with pytest.raises(OwnerDiedError):
            lock.acquire()
        lock.release()
        lock.close()
        assert len(arena.objects()) == 1  # the name keeps it
        del arena["the lock"]
        assert arena.objects() == []
        assert arena.check() == []


def test_a_name_of_another_kind(place: Path) -> None:
    with Arena.create("kinds", capacity=16 << 20) as arena:
        arena["array"] = np.arange(3)
        arena["raw"] = arena.alloc(4096)
        kept = [arena.lock("lock"), arena.semaphore(1, "semaphore"), arena.event("event")]
        makes: list[Callable[[str], object]] = [
            arena.lock, arena.rlock, arena.rwlock, arena.event,
            lambda name: arena.condition(None, name), lambda name: arena.semaphore(1, name),
            lambda name: arena.barrier(1, name),
        ]  # fmt: skip
        for make in makes:
            for name in ("array", "raw"):
                with pytest.raises(TypeError, match=f"named '{name}'; that name belongs to an "):
                    make(name)
        with pytest.raises(TypeError, match="that name belongs to a lock"):
            arena.event("lock")
        with pytest.raises(TypeError, match="that name belongs to a semaphore"):
            arena.lock("semaphore")
        with pytest.raises(scamem.ScamemError, match="is not a lock"):
            scamem.Lock(arena.get("raw"))
        del kept
