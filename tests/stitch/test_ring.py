"""Rings between two processes: contiguous at the wrap, ended, and left by the dead."""

from __future__ import annotations

import multiprocessing
import pickle
import threading

import numpy as np
import pytest

import scamem
from tests.backing.children import Talk, child

FRAME = 4096


def swallow(ring: scamem.RingBuffer) -> tuple[int, int]:
    """Read a ring to its end: bytes, and a sum that depends on their order."""
    count, digest = 0, 0
    while data := ring.read():
        for byte in data:
            digest = (digest * 31 + byte) % 1_000_003
        count += len(data)
    ring.close()
    return count, digest


def digest_of(data: bytes) -> tuple[int, int]:
    digest = 0
    for byte in data:
        digest = (digest * 31 + byte) % 1_000_003
    return len(data), digest


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_stream_arrives_whole_and_ends(arena: scamem.Arena, method: str) -> None:
    data = np.random.default_rng(1).integers(0, 256, 50_000, np.uint8).tobytes()
    context = multiprocessing.get_context(method)
    with arena.ring(FRAME) as ring, context.Pool(1) as pool:
        found = pool.apply_async(swallow, (ring,))
        for start in range(0, len(data), 777):
            ring.write(data[start : start + 777])
        ring.close()
        assert found.get() == digest_of(data)


def test_what_wraps_is_one_buffer(arena: scamem.Arena) -> None:
    with arena.ring(FRAME) as ring:
        assert ring.capacity == FRAME
        ring.write(bytes(FRAME - 10))
        ring.consume(FRAME - 10)
        ring.write(bytes(range(100)))
        seen = ring.peek(100)
        assert bytes(seen) == bytes(range(100))
        assert seen.readonly
        assert len(ring) == 100
        ring.consume(100)
        into = ring.reserve(FRAME)  # all of it, beginning in the middle
        into[:] = bytes([5]) * FRAME
        ring.commit(FRAME)
        assert ring.read(FRAME) == bytes([5]) * FRAME


def test_it_finds_itself_by_name(arena: scamem.Arena) -> None:
    ring = arena.ring(10)
    arena["ring"] = ring
    again = scamem.RingBuffer(arena["ring"])
    ring.write(b"abc")
    assert again.read() == b"abc"
    del arena["ring"]
    loaded = pickle.loads(pickle.dumps(ring))
    ring.write(b"d")
    with pytest.raises(scamem.BusyError):  # `again` reads
        loaded.read()
    again.close()
    assert loaded.read() == b"d"
    other = arena.alloc(2 * FRAME)
    np.frombuffer(memoryview(other.map()), np.uint8)[:] = 1
    with pytest.raises(scamem.ScamemError, match="no ring"):
        scamem.RingBuffer(other)


def test_limits_and_timeouts(arena: scamem.Arena) -> None:
    ring = arena.ring(FRAME)
    with pytest.raises(scamem.WaitTimeoutError):
        ring.peek(timeout=0)
    ring.write(bytes(FRAME))
    with pytest.raises(TimeoutError):
        ring.write(b"x", timeout=0)
    with pytest.raises(ValueError, match=r"4,097"):
        ring.peek(FRAME + 1)
    with pytest.raises(ValueError, match="consume"):
        ring.consume(FRAME + 1)
    with pytest.raises(ValueError, match="reserve"):
        ring.commit(1)
    ring.close()
    ring.close()
    with pytest.raises(scamem.ClosedError):
        ring.read()
    with pytest.raises(ValueError, match="at least 1"):
        arena.ring(0)


def test_another_process_may_not_write_as_well(arena: scamem.Arena) -> None:
    ring = arena.ring(FRAME)

    def body(talk: Talk) -> None:
        ring.write(b"child")
        talk.say()
        talk.hear()

    with child(body) as other:
        other.hear()
        with pytest.raises(scamem.BusyError) as caught:
            ring.write(b"parent")
        assert caught.value.pid == other.pid
    ring.write(b" and parent")  # it is dead
    assert ring.read() == b"child and parent"


def test_a_reader_hears_of_its_writers_death(arena: scamem.Arena) -> None:
    ring = arena.ring(FRAME)

    def body(talk: Talk) -> None:
        ring.write(b"half")
        ring.reserve(100)[:] = bytes(100)  # filled and not published
        talk.say()
        talk.hear()

    with child(body) as writer:
        writer.hear()
        killer = threading.Thread(target=writer.kill)
        killer.start()
        with pytest.raises(scamem.PeerDiedError) as caught:
            ring.peek(10)
        killer.join()
    assert isinstance(caught.value, ConnectionError)
    assert ring.read() == b"half"  # what it had written is there


def test_a_writer_hears_of_its_readers_death(arena: scamem.Arena) -> None:
    ring = arena.ring(FRAME)

    def body(talk: Talk) -> None:
        ring.peek(1)
        talk.say()
        talk.hear()

    with child(body) as reader:
        ring.write(bytes(FRAME))
        reader.hear()
        killer = threading.Thread(target=reader.kill)
        killer.start()
        with pytest.raises(scamem.PeerDiedError):
            ring.write(b"more")
        killer.join()
    arena.reap()
    assert arena.check() == []


def test_a_reader_that_dies_before_it_began(arena: scamem.Arena) -> None:
    ring = arena.ring(FRAME)
    with child(lambda talk: talk.hear()) as reader:
        ring.write(bytes(FRAME))
        started = threading.Event()

        def kill() -> None:
            started.wait()
            reader.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        assert ring._has_company()
        ring._had_company = True  # as a look of the wait would find
        started.set()
        with pytest.raises(scamem.PeerDiedError):
            ring.write(b"more")
        killer.join()


def test_two_threads_of_one_process(arena: scamem.Arena) -> None:
    ring = arena.ring(FRAME)
    found: list[bytes] = []

    def read() -> None:
        with scamem.RingBuffer(arena.get(handle)) as other:
            while data := other.read():
                found.append(data)

    handle = scamem.handle(ring)
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        ring.write(bytes([number]) * 500)
    ring.close()
    reader.join()
    assert b"".join(found) == b"".join(bytes([number]) * 500 for number in range(200))
