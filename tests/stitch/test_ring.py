"""Rings between two processes: contiguous at the wrap, ended, and left by the dead."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import pickle
import signal
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import scamem
from scamem.together.ring import WRITER_WAITS
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
    with pytest.raises(scamem.ScamemError, match="not a ring"):
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


# --- records: whole or not at all ----------------------------------------------------------------


RECORD = 3000
RING = 2 * FRAME
TOO_LONG = 3 * RING + 17


def record(number: int, nbytes: int = RECORD) -> bytes:
    """A record whose every byte says where it belongs."""
    return struct.pack("<II", number, nbytes) + bytes([number % 251]) * (nbytes - 8)


def read_record(ring: scamem.RingBuffer) -> bytes:
    """Read one record by its head, as a reader of frames does."""
    head = ring.read(8)
    return head + ring.read(struct.unpack("<II", head)[1] - 8)


def is_waiting(ring: scamem.RingBuffer) -> bool:
    """Tell whether the writer waits for room."""
    return bool(ring.words.load(WRITER_WAITS))


def until_waiting(ring: scamem.RingBuffer, pid: int = 0) -> None:
    """Return when the writer waits for room; a process of this pid that ended fails the test."""
    while not is_waiting(ring):
        os.sched_yield()
        assert not pid or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


@pytest.fixture
def full(arena: scamem.Arena) -> Iterator[scamem.RingBuffer]:
    """A ring that has two records and no room for a third."""
    with arena.ring(RING) as ring:
        ring.write(record(0))
        ring.write(record(1))
        yield ring


def test_a_record_that_does_not_come_in_time_leaves_nothing(full: scamem.RingBuffer) -> None:
    for number in range(2, 5):  # a producer that drops what nobody takes
        with pytest.raises(scamem.WaitTimeoutError) as caught:
            full.write(record(number), timeout=0)
        assert caught.value.bytes_done == 0
        assert pickle.loads(pickle.dumps(caught.value)).bytes_done == 0
        assert len(full) == 2 * RECORD
    assert read_record(full) == record(0)
    full.write(record(9), timeout=0)
    assert [read_record(full) for _ in range(2)] == [record(1), record(9)]
    assert len(full) == 0


def test_a_record_waits_for_room_for_all_of_it(arena: scamem.Arena) -> None:
    """A slow reader gives bytes back one by one; what it sees is whole at every moment."""
    ring = arena.ring(RING)
    with scamem.RingBuffer(ring.scamem) as reader:
        ring.write(record(0))
        ring.write(record(1))
        writer = threading.Thread(target=ring.write, args=(record(2),))
        writer.start()
        until_waiting(reader)
        for _ in range(3 * RECORD - RING - 1):
            reader.consume(1)
        assert len(reader) == RING - RECORD + 1  # one byte short of room
        reader.consume(1)
        writer.join()
        stream = record(0) + record(1) + record(2)
        assert reader.read() == stream[3 * RECORD - RING :]


def test_what_is_longer_than_the_ring_says_how_much_is_done(arena: scamem.Arena) -> None:
    ring, data = arena.ring(RING), record(7, TOO_LONG)
    with pytest.raises(scamem.WaitTimeoutError) as caught:
        ring.write(data, timeout=0)
    assert caught.value.bytes_done == len(ring) == RING
    assert ring.read() == data[:RING]
    with pytest.raises(scamem.WaitTimeoutError) as caught:
        ring.write(data[RING:], timeout=0)
    assert caught.value.bytes_done == RING


@pytest.mark.parametrize("nbytes", [RECORD, TOO_LONG])
def test_a_writer_whose_reader_dies_knows_what_it_wrote(arena: scamem.Arena, nbytes: int) -> None:
    ring = arena.ring(RING)
    rest = RING - 100

    def body(talk: Talk) -> None:
        ring.read(100)
        talk.say()
        talk.hear()

    with child(body) as reader:
        ring.write(bytes(RING))
        reader.hear()
        killer = threading.Thread(target=reader.kill)
        killer.start()
        with pytest.raises(scamem.PeerDiedError) as caught:
            ring.write(record(1, nbytes))
        killer.join()
    done = caught.value.bytes_done
    assert done == (0 if nbytes <= RING else 100)
    assert ring.read() == bytes(rest) + record(1, nbytes)[:done]


@pytest.mark.parametrize("nbytes", [RECORD, TOO_LONG])
def test_a_writer_that_dies_while_it_waits_leaves_whole_records(
    arena: scamem.Arena, nbytes: int
) -> None:
    """The next writer's record is read as a record, where the dead one's would have fitted."""
    ring = arena.ring(RING)
    looks = scamem.RingBuffer(ring.scamem)

    def body(talk: Talk) -> None:
        for number in itertools.count():
            ring.write(record(number, nbytes))

    with child(body) as writer:
        until_waiting(looks, writer.pid)
        writer.kill()
    if nbytes == RECORD:
        assert len(ring) == 2 * RECORD
        assert read_record(ring) == record(0)
        ring.write(record(9))
        assert [read_record(ring) for _ in range(2)] == [record(1), record(9)]
    else:
        assert ring.read() == record(0, nbytes)[:RING]


@pytest.mark.parametrize("nbytes", [RECORD, TOO_LONG])
def test_an_interrupted_writer_knows_what_it_wrote(arena: scamem.Arena, nbytes: int) -> None:
    ring = arena.ring(RING)
    looks = scamem.RingBuffer(ring.scamem)

    def body(talk: Talk) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            for number in itertools.count():
                ring.write(record(number, nbytes))
        except KeyboardInterrupt as error:
            talk.say(vars(error)["bytes_done"])
        talk.hear()

    with child(body) as writer:
        until_waiting(looks, writer.pid)
        os.kill(writer.pid, signal.SIGINT)
        done = writer.hear()
        assert (done, len(ring)) == ((0, 2 * RECORD) if nbytes == RECORD else (RING, RING))


@pytest.mark.parametrize("polls", [False, True])
def test_records_and_reads_of_any_size_do_not_wait_for_each_other(
    arena: scamem.Arena, polls: bool
) -> None:
    """Too little room for the next record, too few bytes for the next read: one has to give way."""
    ring = arena.ring(RING)
    data = np.random.default_rng(7).integers(0, 256, 40 * 5000, np.uint8).tobytes()
    found = bytearray()

    def read() -> None:
        with scamem.RingBuffer(ring.scamem) as reader:
            while len(found) < len(data):
                wanted = min(6500, len(data) - len(found))
                try:
                    found.extend(reader.read(wanted, 0 if polls else None))
                except scamem.WaitTimeoutError:
                    os.sched_yield()

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, len(data), 5000):
        ring.write(data[start : start + 5000])
    reader.join()
    assert bytes(found) == data


@pytest.mark.parametrize("lives", [True, False])
def test_only_a_living_reader_is_given_parts(full: scamem.RingBuffer, lives: bool) -> None:
    def body(talk: Talk) -> None:
        with pytest.raises(scamem.WaitTimeoutError):
            full.peek(RING, timeout=0)
        talk.say()
        talk.hear()

    with child(body) as reader:
        reader.hear()
        if not lives:
            reader.kill()
        with pytest.raises((scamem.WaitTimeoutError, scamem.PeerDiedError)) as caught:
            full.write(record(2), timeout=0)
    assert vars(caught.value)["bytes_done"] == (RING - 2 * RECORD if lives else 0)


def test_what_a_reader_wanted_is_forgotten(full: scamem.RingBuffer) -> None:
    """It took less, or another reader came: records are whole again."""
    with scamem.RingBuffer(full.scamem) as reader:
        for _ in range(2):
            with pytest.raises(scamem.WaitTimeoutError):
                reader.peek(RING, timeout=0)
            reader.consume(RECORD)
            full.write(record(2))
            with pytest.raises(scamem.WaitTimeoutError) as caught:
                full.write(record(3), timeout=0)
            assert caught.value.bytes_done == 0
        with pytest.raises(scamem.WaitTimeoutError):
            reader.peek(RING, timeout=0)
    full.peek()
    with pytest.raises(scamem.WaitTimeoutError) as caught:
        full.write(record(3), timeout=0)
    assert caught.value.bytes_done == 0


@pytest.mark.parametrize("timeout", [-1, math.nan, -math.inf])
def test_a_timeout_is_no_less_than_nothing(arena: scamem.Arena, timeout: float) -> None:
    ring = arena.ring(FRAME)
    for call in (
        lambda: ring.write(b"x", timeout),
        lambda: ring.reserve(1, timeout),
        lambda: ring.peek(1, timeout),
        lambda: ring.read(1, timeout),
    ):
        with pytest.raises(ValueError, match="asked to wait"):
            call()
    assert len(ring) == 0
    ring.write(b"x", math.inf)
    assert ring.read(1, math.inf) == b"x"
