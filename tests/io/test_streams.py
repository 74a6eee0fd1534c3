"""Pins, pipes and sockets, with another process at the other end."""

from __future__ import annotations

import errno
import functools
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import scamem
from tests.backing.children import Talk
from tests.death.nursery import Nursery
from tests.io.scattered import FRAME_BYTES, FRAMES, bytes_of, content, fill, pieces_of, scattered

SIZE = FRAMES * FRAME_BYTES
Pair = tuple[socket.socket, socket.socket]


def unix_pair() -> Pair:
    return socket.socketpair()


def tcp_pair() -> Pair:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname())
        there, _ = server.accept()
        return here, there


@pytest.fixture(params=[unix_pair, tcp_pair])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    here, there = request.param()
    with here, there:
        yield here, there


def both(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[Any, Any]:
    """Run one thing in a thread and the other here; what both returned."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(one()))
    thread.start()
    answer = other()
    thread.join()
    return found[0], answer


def read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def recv_all(sock: socket.socket, nbytes: int) -> bytes:
    parts = bytearray()
    while len(parts) < nbytes:
        part = sock.recv(1 << 20)
        assert part, "it ended early"
        parts += part
    return bytes(parts)


def test_pipe(arena: scamem.Arena) -> None:
    data = content(SIZE)
    obj = scattered(arena)
    fill(obj, data)
    read, write = os.pipe()
    with obj.pin() as pin:
        found, done = both(lambda: os.read(read, 1), lambda: pin.write_to(write, nbytes=1))
        assert (found, done) == (data[:1], 1)

        def send() -> int:
            done = pin.write_to(write)
            os.close(write)
            return done

        found, done = both(lambda: read_all(read), send)
    assert (found, done) == (data, SIZE)
    os.close(read)


def test_pipe_filled_in_pieces(arena: scamem.Arena) -> None:
    """Short reads are gone on with, wherever they end; then the writer ends early."""
    data = content(SIZE)
    obj = scattered(arena)
    read, write = os.pipe()
    view = memoryview(data)[: SIZE - 5]

    def send() -> None:
        at = 0
        for size in pieces_of(SIZE - 5, 3001):
            os.write(write, view[at : at + size])
            at += size
        os.close(write)

    with obj.pin() as pin:
        _, done = both(send, lambda: pin.read_from(read))
        assert done == SIZE - 5
        assert pin.read_from(read) == 0
        with pytest.raises(OSError, match="no offsets: leave it out") as caught:
            pin.read_from(read, 5)
        assert caught.value.errno == errno.ESPIPE
    assert bytes_of(obj)[: SIZE - 5] == data[: SIZE - 5]
    os.close(read)


def test_nobody_reads_the_pipe(arena: scamem.Arena) -> None:
    read, write = os.pipe()
    os.close(read)
    with arena.alloc(FRAME_BYTES) as obj, obj.pin() as pin:
        with pytest.raises(BrokenPipeError, match="0 of 4,096 bytes were written"):
            pin.write_to(write)
    os.close(write)


def read_some(talk: Talk, descriptor_path: str, nbytes: int) -> None:
    """Read a little and wait to be killed."""
    with open(descriptor_path, "rb", buffering=0) as pipe:
        talk.say(len(pipe.read(nbytes)))
        talk.hear()


def test_the_reader_is_killed(arena: scamem.Arena, nursery: Nursery) -> None:
    read, write = os.pipe()
    obj = scattered(arena)
    with nursery.start(read_some, f"/proc/{os.getpid()}/fd/{read}", 3) as victim, obj.pin() as pin:
        os.write(write, b"abc")
        assert victim.hear() == 3
        os.close(read)
        killer = threading.Thread(target=victim.kill)

        def break_pipe() -> None:
            killer.start()
            pin.write_to(write)

        with pytest.raises(BrokenPipeError) as caught:
            break_pipe()
        killer.join()
        assert caught.value.bytes_done < SIZE  # type: ignore[attr-defined]  # set on purpose
    os.close(write)


def test_pipe_that_does_not_block(arena: scamem.Arena) -> None:
    read, write = os.pipe2(os.O_NONBLOCK)
    obj = scattered(arena)
    fill(obj, content(SIZE))
    with obj.pin() as pin:
        with pytest.raises(BlockingIOError, match="continue with start=") as caught:
            pin.read_from(read)
        assert caught.value.characters_written == 0
        with pytest.raises(BlockingIOError) as caught:
            pin.write_to(write)
        done = caught.value.characters_written
        assert 0 < done < SIZE
        assert os.read(read, SIZE) == content(SIZE)[:done]
    os.close(read)
    os.close(write)


def test_sockets(arena: scamem.Arena, pair: Pair) -> None:
    data = content(SIZE)
    obj, into = scattered(arena, FRAMES // 2), arena.alloc(FRAME_BYTES)
    half = SIZE // 2
    here, there = pair
    fill(obj, data[:half])
    with obj.pin() as pin:
        found, done = both(lambda: recv_all(there, half), lambda: pin.send(here))
        assert (found, done) == (data[:half], half)
        assert pin.send(here, 10, start=4090) == 10
        assert recv_all(there, 10) == data[4090:4100]
        _, done = both(lambda: there.sendall(data[half:]), lambda: pin.recv_into(here))
        assert done == half
    assert bytes_of(obj) == data[half:]
    with into.pin() as pin:
        there.sendall(b"abc")
        there.shutdown(socket.SHUT_WR)
        assert pin.recv_into(here) == 3
        assert pin.recv_into(here) == 0
    assert bytes_of(into)[:3] == b"abc"


def test_frames_to_frames(arena: scamem.Arena, pair: Pair) -> None:
    source = scattered(arena, 1200)
    here, there = pair
    fill(source, content(1200 * FRAME_BYTES))
    with scamem.Arena.create(capacity=64 << 20) as other:
        target = scattered(other, 1200)
        with source.pin() as pin, target.pin() as into:
            sent, got = both(lambda: pin.send(there), functools.partial(into.recv_into, here))
        assert sent == got == 1200 * FRAME_BYTES
        assert bytes_of(target) == content(1200 * FRAME_BYTES)
        del target


def test_timeouts(arena: scamem.Arena, pair: Pair) -> None:
    obj = scattered(arena)
    here, there = pair
    here.settimeout(0.05)
    with obj.pin() as pin:
        there.sendall(b"12345")
        with pytest.raises(TimeoutError, match="5 of 100 bytes were read") as caught:
            pin.recv_into(here, 100)
        assert caught.value.bytes_done == 5  # type: ignore[attr-defined]  # set on purpose
        with pytest.raises(TimeoutError) as caught:
            pin.send(here)
        assert 0 < caught.value.bytes_done < SIZE  # type: ignore[attr-defined]  # set on purpose
        here.setblocking(False)
        with pytest.raises(BlockingIOError) as blocked:
            pin.send(here)
        assert blocked.value.characters_written == 0
        with pytest.raises(BlockingIOError):
            pin.recv_into(here)


def test_the_other_side_is_gone(arena: scamem.Arena, pair: Pair) -> None:
    obj = scattered(arena)
    here, there = pair
    there.close()
    with obj.pin() as pin:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            pin.send(here)
        here.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            pin.send(here)


def test_sockets_of_messages(arena: scamem.Arena) -> None:
    obj = scattered(arena)
    fill(obj, content(SIZE))
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there, obj.pin() as pin:
        assert pin.send(here, 10_000, start=50) == 10_000
        assert there.recv(20_000) == content(SIZE)[50:10_050]
        there.send(b"short")
        assert pin.recv_into(here) == 5
        there.send(b"much too long")
        with pytest.raises(OSError, match="its rest is lost") as caught:
            pin.recv_into(here, 5)
        assert caught.value.errno == errno.EMSGSIZE
        with pytest.raises(OSError, match="at most 1,024 runs") as caught:
            pin.send(here)
        assert caught.value.errno == errno.EMSGSIZE
        there.close()
        assert pin.recv_into(here) == 0
    assert bytes_of(obj)[:5] == b"much "


def test_tls_is_refused(arena: scamem.Arena, pair: Pair) -> None:
    """Its descriptor carries what was encrypted: plain bytes there would be sent in the open."""
    here, _ = pair
    wrapped = ssl.create_default_context().wrap_socket(
        here, do_handshake_on_connect=False, server_hostname="localhost"
    )
    with wrapped, arena.alloc(FRAME_BYTES) as obj, obj.pin() as pin:
        for call in (pin.send, pin.recv_into):
            with pytest.raises(TypeError, match="plain socket"):
                call(wrapped)


class Stopped(Exception):
    """Raised by a signal's handler."""


@pytest.fixture
def alarms() -> Iterator[list[int]]:
    """A handler of SIGALRM that counts, and raises at the third time."""
    seen: list[int] = []

    def handle(number: int, frame: object) -> None:
        seen.append(number)
        if len(seen) == 3:
            raise Stopped

    before = signal.signal(signal.SIGALRM, handle)
    yield seen
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("what", ["read", "write", "send", "recv"])
def test_signals_are_handled_while_it_waits(
    arena: scamem.Arena, alarms: list[int], what: str
) -> None:
    obj = scattered(arena)
    here, there = socket.socketpair()
    read, write = os.pipe()
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    with here, there, obj.pin() as pin:
        calls: dict[str, Callable[[], int]] = {
            "read": lambda: pin.read_from(read),
            "write": lambda: pin.write_to(write),
            "send": lambda: pin.send(here),
            "recv": lambda: pin.recv_into(here),
        }
        with pytest.raises(Stopped):
            calls[what]()
    assert len(alarms) == 3
    os.close(read)
    os.close(write)


def test_a_pin_that_is_closed_meanwhile(arena: scamem.Arena) -> None:
    """The transfer holds the frames itself: nobody else gets them before it has ended."""
    obj = arena.alloc(40 << 20)
    fill(obj, b"a" * obj.nbytes)
    pin = obj.pin()
    index = obj.index
    read, write = os.pipe()
    started = threading.Event()
    done: list[int] = []

    def send() -> None:
        started.set()
        done.append(pin.write_to(write))
        os.close(write)

    thread = threading.Thread(target=send)
    thread.start()
    started.wait()
    found = os.read(read, 1)  # it has begun, and cannot end: the pipe is smaller
    pin.close()
    obj.close()
    assert [info.index for info in arena.objects()] == [index]
    with arena.alloc(40 << 20) as next_one:
        fill(next_one, b"b" * next_one.nbytes)
        found += read_all(read)
    thread.join()
    assert done == [40 << 20]
    assert found == b"a" * (40 << 20)
    assert arena.objects() == []
    os.close(read)


def test_other_threads_run_meanwhile(arena: scamem.Arena) -> None:
    """A read that waits for what another thread of this process is to write."""
    read, write = os.pipe()
    with arena.alloc(FRAME_BYTES) as obj, obj.pin() as pin:
        done, _ = both(lambda: pin.read_from(read, nbytes=3), lambda: os.write(write, b"abc"))
        assert done == 3
        assert bytes_of(obj)[:3] == b"abc"
    os.close(read)
    os.close(write)


def receive(talk: Talk, address: tuple[str, int], nbytes: int) -> None:
    """Receive into frames of this process's own arena, and send them back from there."""
    arena = scamem.Arena.create(capacity=64 << 20)
    obj = scattered(arena, nbytes // FRAME_BYTES)
    with socket.create_connection(address) as sock, obj.pin() as pin:
        talk.say((pin.recv_into(sock), pin.send(sock)))


def test_another_process(arena: scamem.Arena, nursery: Nursery) -> None:
    obj = scattered(arena)
    data = content(SIZE)
    fill(obj, data)
    with socket.create_server(("127.0.0.1", 0)) as server:
        with nursery.start(receive, server.getsockname(), SIZE) as peer, obj.pin() as pin:
            sock, _ = server.accept()
            with sock:
                assert pin.send(sock) == SIZE
                fill(obj, bytes(SIZE))
                assert pin.recv_into(sock) == SIZE
            assert peer.hear() == (SIZE, SIZE)
    assert bytes_of(obj) == data
