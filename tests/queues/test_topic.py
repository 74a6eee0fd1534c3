"""Topics: in one process, between processes, and when subscribers die."""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import threading
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena
from tests.backing.children import Talk
from tests.death.nursery import Nursery

WAIT_S = 60.0


def all_of(reader: Any) -> list[Any]:
    found = []
    while True:
        try:
            found.append(reader.get_nowait())
        except queue.Empty:
            return found


def test_each_subscriber_reads_all(arena: Arena) -> None:
    topic = arena.topic(history=10)
    topic.publish("before")
    readers = [topic.subscribe() for _ in range(3)]
    late = topic.subscribe(start="oldest")
    values = [1, "two", b"three", {"four": [4]}, None]
    for value in values:
        topic.publish(value)
    for reader in readers:
        assert all_of(reader) == values
    assert all_of(late) == ["before", *values]
    assert [reader.missed for reader in readers] == [0, 0, 0]
    with pytest.raises(queue.Empty):
        readers[0].get(timeout=0.01)


def test_one_value_in_memory(arena: Arena) -> None:
    topic = arena.topic()
    readers = [topic.subscribe() for _ in range(4)]
    frame = topic.loan((1000, 1000), np.uint8)
    frame[:] = 7
    topic.publish(frame)
    frames = sum(info.nr for info in arena.objects())
    got = [reader.get() for reader in readers]
    assert sum(info.nr for info in arena.objects()) == frames
    assert all((one == 7).all() for one in got)
    with pytest.raises(ValueError, match="read-only"):
        got[0][0] = 1
    copied = np.arange(10)
    topic.publish(copied)
    assert readers[0].get().tolist() == copied.tolist()
    assert got[0][0, 0] == 7  # its reader holds it
    del frame, got, readers, topic
    gc.collect()
    assert arena.objects() == []


def test_a_slow_subscriber_is_told_what_it_missed(arena: Arena) -> None:
    topic = arena.topic(history=3)
    slow, quick = topic.subscribe(), topic.subscribe()
    for k in range(10):
        topic.publish(k)
        assert quick.get() == k
    assert all_of(slow) == [7, 8, 9]
    assert (slow.missed, quick.missed) == (7, 0)
    topic.publish(10)
    assert slow.get() == 10
    assert slow.missed == 7


def test_latest(arena: Arena) -> None:
    topic = arena.topic(history=5)
    reader = topic.subscribe()
    with pytest.raises(queue.Empty):
        reader.latest()
    for k in range(4):
        topic.publish(k)
    assert reader.get() == 0
    assert reader.latest() == 3
    assert reader.latest() == 3
    assert all_of(reader) == []
    assert reader.missed == 0
    assert topic.subscribe().latest() == 3


def test_a_subscriber_holds_a_blocking_publisher_back(arena: Arena) -> None:
    topic = arena.topic(history=2, policy="block")
    for k in range(5):
        topic.publish(k)  # nobody reads
    first, second = topic.subscribe(start="oldest"), topic.subscribe(start="oldest")
    assert first.get() == 3
    with pytest.raises(queue.Full, match="has not read the oldest"):
        topic.publish(5, timeout=0.01)
    with pytest.raises(queue.Full):
        topic.publish(5, block=False)
    reader = threading.Timer(0.02, second.get)
    reader.start()
    topic.publish(5, timeout=WAIT_S)
    reader.join()
    second.close()
    assert all_of(first) == [4, 5]
    for k in range(6, 8):
        topic.publish(k, block=False)
    first.close()
    topic.publish(8, block=False)
    with pytest.raises(scamem.ClosedError):
        first.get()


def test_close(arena: Arena) -> None:
    topic = arena.topic(history=3)
    reader = topic.subscribe()
    topic.publish(1)
    topic.publish(2)
    topic.close()
    with pytest.raises(scamem.QueueClosedError):
        topic.publish(3)
    assert list(reader) == [1, 2]
    assert list(topic) == []
    assert topic.subscribe(start="oldest").get() == 1


def test_names(arena: Arena) -> None:
    topic = arena.topic("frames", 4)
    topic.publish(1)
    assert list(all_of(arena.topic("frames").subscribe(start="oldest"))) == [1]
    with pytest.raises(ValueError, match="exists with 4"):
        arena.topic("frames", 5)
    with pytest.raises(TypeError, match="belongs to something else"):
        arena.queue("frames")
    arena.queue("jobs")
    with pytest.raises(TypeError, match="belongs to something else"):
        arena.topic("jobs")
    with pytest.raises(ValueError, match="at least 1"):
        arena.topic(history=0)
    with pytest.raises(ValueError, match="oldest, latest"):
        topic.subscribe("first")
    with pytest.raises(TypeError, match="subscribe there"):
        pickle.dumps(topic.subscribe())
    same = pickle.loads(pickle.dumps(topic))
    assert (same.history, len(same)) == (4, 1)


def test_a_child_reads_on(arena: Arena) -> None:
    topic = arena.topic(history=10)
    reader = topic.subscribe()
    for k in range(4):
        topic.publish(k)
    assert [reader.get(), reader.get()] == [0, 1]
    pid = os.fork()
    if pid == 0:
        os._exit(0 if all_of(reader) == [2, 3] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert all_of(reader) == [2, 3]


def read_one(talk: Talk, path: str, name: str) -> None:
    """Subscribe, say so, read one value, and wait to be killed."""
    with Arena.join(path).topic(name).subscribe() as reader:
        talk.say("ready")
        talk.say(int(reader.get(timeout=WAIT_S)[0]))
        talk.hear()


def test_a_dead_subscriber_holds_nothing_back(named: Arena, nursery: Nursery) -> None:
    """No third party reaps: the publisher that waits finds the dead."""
    topic = named.topic("frames", history=2, policy="block")
    with nursery.start(read_one, named.path, "frames") as victim:
        assert victim.hear() == "ready"
        for k in range(2):
            topic.publish(np.full(1000, k))
        assert victim.hear() == 0
        topic.publish(np.full(1000, 2))
        with pytest.raises(queue.Full):
            topic.publish(3, timeout=0.01)
        victim.kill(signal.SIGKILL)
    topic.publish(np.full(1000, 3), timeout=WAIT_S)
    assert len(topic) == 2
    assert len(named.objects()) == 3


def test_a_publisher_that_dies(named: Arena, nursery: Nursery) -> None:
    topic = named.topic("frames", history=5)
    reader = topic.subscribe()
    with nursery.start(publish_and_die, named.path, "frames") as publisher:
        publisher.wait()
    assert [int(reader.get(timeout=WAIT_S)[0]) for _ in range(3)] == [0, 1, 2]


def publish_and_die(talk: Talk, path: str, name: str) -> None:
    topic = Arena.join(path).topic(name)
    for k in range(3):
        topic.publish(np.full(1000, k))
    os.kill(os.getpid(), signal.SIGKILL)
