"""A segment goes with the last process that has it open, however that one ends."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path
from typing import Any

import pytest

import scamem
from scamem.managers import SharedMemoryManager
from scamem.shared_memory import SharedMemory, keeping
from tests.death.nursery import Nursery
from tests.shared_memory.test_segments import create_and_wait, first


def open_and_wait(talk: Any, place: str, name: str) -> None:
    os.environ["SCAMEM_DIR"] = place
    segment = SharedMemory(name)
    talk.say(first(segment))
    talk.hear()


def create_and_fork(talk: Any, place: str, name: str) -> None:
    """Create a segment, and let a child keep it when its parent is killed."""
    os.environ["SCAMEM_DIR"] = place
    segment = SharedMemory(name, create=True, size=100)
    pid = os.fork()
    if pid == 0:
        talk.say((os.getpid(), segment.size))
        signal.pause()
    talk.hear()


def gone(name: str) -> bool:
    try:
        SharedMemory(name).close()
    except FileNotFoundError:
        return True
    return False


def test_killed_creator_alone(segments: Path, nursery: Nursery) -> None:
    with nursery.start(create_and_wait, str(segments), "one") as creator:
        creator.hear()
        assert not gone("one")
        creator.kill()
        assert gone("one")


def test_killed_creator_while_others_use_it(segments: Path, nursery: Nursery) -> None:
    with nursery.start(create_and_wait, str(segments), "two") as creator:
        creator.hear()
        with (
            nursery.start(open_and_wait, str(segments), "two") as reader,
            nursery.start(open_and_wait, str(segments), "two") as other,
        ):
            assert (reader.hear(), other.hear()) == (9, 9)
            creator.kill()
            again = SharedMemory("two")
            assert first(again) == 9
            again.close()
            reader.kill()
            assert not gone("two")
            other.kill()
            assert gone("two")


def test_killed_after_it_closed(segments: Path, nursery: Nursery) -> None:
    """Its creator keeps a segment that it has closed, until it ends."""
    with nursery.start(create_and_wait, str(segments), "three") as creator:
        creator.hear()
        creator.say()
        creator.hear()
        assert not gone("three")
        creator.kill()
        assert gone("three")


def test_untracked_stays(segments: Path, nursery: Nursery) -> None:
    with nursery.start(create_and_wait, str(segments), "four", False) as creator:
        creator.hear()
        creator.kill()
    kept = SharedMemory("four")
    assert first(kept) == 9
    kept.close()
    kept = SharedMemory("four")
    kept.unlink()
    kept.close()
    assert gone("four")


def test_a_dead_ones_name_can_be_used(segments: Path, nursery: Nursery) -> None:
    with nursery.start(create_and_wait, str(segments), "five") as creator:
        creator.hear()
        creator.kill()
    made = SharedMemory("five", create=True, size=7)
    assert (made.size, first(made)) == (7, 0)
    made.close()
    made.unlink()


def test_forked_child_keeps_it(segments: Path, nursery: Nursery) -> None:
    with nursery.start(create_and_fork, str(segments), "six") as parent:
        pid, size = parent.hear()
        assert size == 100
        parent.kill()
        assert not gone("six")
        child = os.pidfd_open(pid)
        signal.pidfd_send_signal(child, signal.SIGKILL)
        select.select([child], [], [])  # it is not this process's child: nothing to wait for
        os.close(child)
        assert gone("six")


def test_all_killed_leave_no_memory(segments: Path, nursery: Nursery) -> None:
    victims = [nursery.start(create_and_wait, str(segments), f"all{k}") for k in range(4)]
    for victim in victims:
        victim.hear()
    for victim in victims:
        victim.kill()
        victim.close()
    arena = scamem.Arena.join(keeping.ARENA)
    assert arena.stats().objects == 0
    assert list(arena) == []


def test_killed_server_of_a_manager(segments: Path) -> None:
    manager = SharedMemoryManager()
    manager.start()
    segment = manager.SharedMemory(size=10)
    server: Any = manager
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.join()
    assert not gone(segment.name)
    segment.close()
    segment.unlink()
    assert gone(segment.name)


@pytest.mark.parametrize("weak", [True, False])
def test_weak_names_of_an_arena(segments: Path, nursery: Nursery, weak: bool) -> None:
    """The same through Arena.publish, which segments are made of."""
    arena = scamem.Arena.create("weak", capacity="16M")
    with nursery.start(publish_and_wait, str(segments), weak) as publisher:
        publisher.hear()
        assert arena.get("numbers").sum() == 3
        publisher.kill()
    assert arena.stats().objects == (0 if weak else 1)
    assert ("numbers" in arena) is not weak
    assert arena.check() == []
    arena.clear()
    arena.close()


def publish_and_wait(talk: Any, place: str, weak: bool) -> None:
    os.environ["SCAMEM_DIR"] = place
    arena = scamem.Arena.join("weak")
    numbers = arena.array([1, 2])
    arena.publish("numbers", numbers, weak=weak)
    talk.say()
    talk.hear()
