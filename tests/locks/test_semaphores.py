"""Semaphores and read-write locks: as threading's, in order, and what each death does."""

from __future__ import annotations

import os
import pickle
import signal
from typing import Any

import pytest

import scamem
from scamem import Arena, OwnerDiedError
from scamem.core.sync import places as P
from tests.backing.children import Talk, child, in_child
from tests.locks.test_locks import in_thread, killed_with
from tests.locks.waiting import entries, until


def test_a_semaphore_as_in_threading(arena: Arena) -> None:
    permits = arena.semaphore(2)
    assert permits.acquire() is True
    with permits as entered:
        assert entered is True
        assert permits.value == 0
        assert permits.acquire(False) is False
        assert permits.acquire(timeout=0.01) is False
        assert in_child(lambda: permits.acquire(False)) is False
    permits.release()
    permits.release(2)
    assert permits.value == 4
    with pytest.raises(ValueError, match="at least 1"):
        permits.release(0)
    with pytest.raises(ValueError, match="permits"):
        arena.semaphore(-1)


def test_a_bounded_one(arena: Arena) -> None:
    permits = arena.semaphore(1, bounded=True)
    with pytest.raises(ValueError, match="bounded"):
        permits.release()
    with permits:
        pass
    assert permits.value == 1


def test_permits_of_the_dead_come_back(arena: Arena) -> None:
    permits = arena.semaphore(3)
    permits.acquire()
    killed_with(lambda: (permits.acquire(), permits.acquire()))
    assert permits.acquire(timeout=0)
    assert permits.acquire()
    assert permits.acquire(timeout=0) is False
    assert permits.value == 0


def test_a_waiter_gets_a_dead_ones_permit(arena: Arena) -> None:
    """Nobody else is there who looks."""
    permits = arena.semaphore(1)

    def hold(talk: Talk) -> None:
        permits.acquire()
        talk.say()
        talk.hear()

    def wait(talk: Talk) -> None:
        talk.say(permits.acquire())
        permits.release()

    with child(hold) as holder:
        holder.hear()
        with child(wait) as waiter:
            until(lambda: entries(permits, P.WAITING) == 1)
            holder.kill()
            assert waiter.hear() is True
            waiter.wait()
    assert permits.value == 1


def test_another_process_may_release(arena: Arena) -> None:
    """The permit is then nobody's: the death of the one that acquired it gives nothing back."""
    permits = arena.semaphore(1)

    def body(talk: Talk) -> None:
        permits.acquire()
        talk.say()
        talk.hear()

    with child(body) as holder:
        holder.hear()
        permits.release()
        assert permits.value == 1
        holder.kill()
    assert permits.value == 1
    permits.release()
    assert permits.value == 2


def test_a_killed_waiter_is_not_waited_for(arena: Arena) -> None:
    permits = arena.semaphore(1)

    def wait(talk: Talk) -> None:
        permits.acquire()

    with permits, child(wait) as waiter:
        until(lambda: entries(permits, P.WAITING) == 1)
        waiter.kill()
    assert permits.acquire()
    permits.release()
    assert permits.value == 1


def test_a_waiter_that_stops_lets_others_in(arena: Arena) -> None:
    """A writer that waits keeps readers out, until it is interrupted."""
    lock = arena.rwlock()

    def write(talk: Talk) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt):
            lock.acquire_write()
        talk.say("interrupted")

    def read(talk: Talk) -> None:
        with lock.read():
            talk.say("reads")

    with lock.read(), child(write) as writer:
        until(lambda: entries(lock, P.WAITING) == 1)
        assert in_child(lambda: lock.acquire_read(timeout=0)) is False
        with child(read) as reader:
            until(lambda: entries(lock, P.WAITING) == 2)
            os.kill(writer.pid, signal.SIGINT)
            assert writer.hear() == "interrupted"
            assert reader.hear() == "reads"
            reader.wait()
        writer.wait()


def test_dropping_a_semaphore_gives_its_permits_back(arena: Arena) -> None:
    permits = arena.semaphore(2)
    other = pickle.loads(pickle.dumps(permits))
    other.acquire()
    assert permits.value == 1
    other.close()
    assert permits.value == 2


# --- read-write locks ----------------------------------------------------------------------------


def test_readers_share_and_writers_do_not(arena: Arena) -> None:
    lock = arena.rwlock()
    with lock.read(), lock.read():
        assert in_child(lambda: lock.acquire_read(False)) is True
        assert in_child(lambda: lock.acquire_write(False)) is False
        assert in_thread(lambda: lock.acquire_write(timeout=0.01)) is False
        with pytest.raises(RuntimeError, match="wait for itself"):
            lock.acquire_write()
    with lock.write():
        assert in_child(lambda: lock.acquire_read(False)) is False
        for again in (lock.acquire_read, lock.acquire_write):
            with pytest.raises(RuntimeError, match="has it already"):
                again()
        with pytest.raises(RuntimeError, match="reading"):
            lock.release_read()
        assert "writing" in in_thread(lambda: refused(lock.release_write))
    assert "writing" in refused(lock.release_write)
    with lock.write():
        error = in_thread(lambda: refused(lambda: lock.read(timeout=0).__enter__()))
    assert "waited 0 s" in error


def refused(call: Any) -> str:
    try:
        call()
    except (RuntimeError, scamem.WaitTimeoutError) as error:
        return str(error)
    return ""


def test_a_dead_reader_leaves_nothing(arena: Arena) -> None:
    lock = arena.rwlock()
    killed_with(lock.acquire_read)
    with lock.write():
        assert not lock.recovered


def test_a_dead_writer_is_told_of_until_a_writer_has_been(arena: Arena) -> None:
    lock = arena.rwlock()
    pid = killed_with(lock.acquire_write)
    for _ in range(2):
        with pytest.raises(OwnerDiedError, match="died") as caught:
            lock.acquire_read()
        assert caught.value.pid in (pid, 0)
        lock.release_read()
    killed_with(lambda: refused_by_death(lock.acquire_write))
    with pytest.raises(OwnerDiedError):
        lock.acquire_write()
    lock.release_write()
    with lock.read():
        assert not lock.recovered


def refused_by_death(acquire: Any) -> None:
    with pytest.raises(OwnerDiedError):
        acquire()


def test_or_it_recovers(arena: Arena) -> None:
    lock = arena.rwlock(on_owner_death="recover")
    killed_with(lock.acquire_write)
    with lock.read():
        assert lock.recovered
    with lock.write():
        assert lock.recovered
    with lock.write():
        assert not lock.recovered
    assert pickle.loads(pickle.dumps(lock)).acquire_read()


def test_a_writer_is_not_starved(arena: Arena) -> None:
    """A reader that comes after it waits behind it."""
    lock = arena.rwlock()

    def write(talk: Talk) -> None:
        with lock.write():
            talk.say("wrote")

    def read(talk: Talk) -> None:
        with lock.read():
            talk.say("read")

    lock.acquire_read()
    with child(write) as writer:
        until(lambda: entries(lock, P.WAITING) == 1)
        with child(read) as reader:
            until(lambda: entries(lock, P.WAITING) == 2)
            lock.release_read()
            assert (writer.hear(), reader.hear()) == ("wrote", "read")
            reader.wait()
        writer.wait()
