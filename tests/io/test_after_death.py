"""What the kernel still does with the frames of a killed process, and with whose data.

A pipe that frames were spliced into, and memory that was registered with a ring, go on when their
process is gone. `pin(io=True)` says so beforehand: whoever gets those frames next gets new memory
there. Without it, the next owner's data may be read, or be written over: nothing is promised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

import scamem
from tests.backing.children import Child, Talk, child
from tests.io.rings import Ring, vmsplice
from tests.io.scattered import FRAME_BYTES

FRAMES = 16  # what a pipe takes at least
SIZE = FRAMES * FRAME_BYTES
CAPACITY = 16 << 20


@pytest.fixture
def arena() -> Iterator[scamem.Arena]:
    with scamem.Arena.create(capacity=CAPACITY) as made:
        made.alloc(CAPACITY).close()  # all of it is online
        yield made
        assert made.check() == []


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    made = os.pipe()
    yield made
    for descriptor in made:
        os.close(descriptor)


def write(obj: scamem.Scamem, letter: bytes) -> None:
    memoryview(obj.map())[:] = letter * obj.nbytes


def read(obj: scamem.Scamem) -> set[bytes]:
    data = bytes(memoryview(obj.map(writable=False)))
    return {bytes([value]) for value in set(data)}


def next_owners(arena: scamem.Arena) -> scamem.Scamem:
    """Take every free frame, whatever it was before, and write to it."""
    taken = arena.alloc(arena.stats().frames_free * FRAME_BYTES)
    assert arena.stats().frames_free == 0
    write(taken, b"n")
    return taken


def spliced(obj: scamem.Scamem, pipe: int) -> Callable[[Talk], None]:
    """What a child does: pin, splice the frames into a pipe, wait to be killed."""

    def body(talk: Talk) -> None:
        pin = obj.pin(io=True)
        talk.say(vmsplice(pipe, pin.iovec()))
        talk.hear()

    return body


def killed(arena: scamem.Arena, started: Child) -> None:
    started.kill()
    arena.reap()


def test_a_pipe_never_shows_the_next_owners_data(
    arena: scamem.Arena, pipe: tuple[int, int]
) -> None:
    obj = arena.alloc(SIZE)
    pages = set(obj.pages.tolist())
    write(obj, b"o")
    with child(spliced(obj, pipe[1])) as started:
        assert started.hear() == SIZE
        obj.close()
        killed(arena, started)
    assert arena.objects() == []
    taken = next_owners(arena)
    assert pages < set(taken.pages.tolist())
    assert os.read(pipe[0], SIZE) == b"o" * SIZE
    assert read(taken) == {b"n"}
    taken.close()


def test_other_holders_go_on(arena: scamem.Arena, pipe: tuple[int, int]) -> None:
    """Their data stays, they write, they pin and unpin; new memory comes when the last let go."""
    obj = arena.alloc(SIZE)
    write(obj, b"o")
    with child(spliced(obj, pipe[1])) as started:
        assert started.hear() == SIZE
        killed(arena, started)
    assert read(obj) == {b"o"}
    with obj.pin(io=True) as pin:
        assert len(pin.frames) == FRAMES
    write(obj, b"p")
    assert arena.check() == []
    other = next_owners(arena)
    assert read(obj) == {b"p"}
    other.close()
    obj.close()
    taken = next_owners(arena)
    assert os.read(pipe[0], SIZE) == b"p" * SIZE
    taken.close()


def test_again_and_again(arena: scamem.Arena, pipe: tuple[int, int]) -> None:
    """No frame is lost, and none is without memory."""
    before = arena.stats().frames_free
    for _ in range(5):
        obj = arena.alloc(SIZE)
        write(obj, b"o")
        with child(spliced(obj, pipe[1])) as started:
            assert started.hear() == SIZE
            obj.close()
            killed(arena, started)
        assert arena.stats().frames_free == before
        taken = next_owners(arena)
        assert os.read(pipe[0], SIZE) == b"o" * SIZE
        assert read(taken) == {b"n"}
        taken.close()


def test_many_die_with_one_object(arena: scamem.Arena, pipe: tuple[int, int]) -> None:
    obj = arena.alloc(2 * FRAME_BYTES)
    write(obj, b"o")
    for _ in range(3):
        with child(spliced(obj, pipe[1])) as started:
            assert started.hear() == 2 * FRAME_BYTES
            killed(arena, started)
    obj.close()
    taken = next_owners(arena)
    assert os.read(pipe[0], SIZE) == b"o" * (6 * FRAME_BYTES)
    taken.close()


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring()
    yield made
    made.close()


def test_a_ring_never_writes_the_next_owners_data(
    arena: scamem.Arena, pipe: tuple[int, int], ring: Ring
) -> None:
    """Memory that a killed process registered, written by the kernel afterwards."""
    obj = arena.alloc(SIZE)
    write(obj, b"o")

    def register(talk: Talk) -> None:
        pin = obj.pin(io=True)
        spans = pin.iovec()
        ring.register(spans)
        talk.say(int(spans[0, 0]))
        talk.hear()

    with child(register) as started:
        address = started.hear()
        obj.close()
        killed(arena, started)
    taken = next_owners(arena)
    os.write(pipe[1], b"late" * 1000)
    assert ring.read_fixed(pipe[0], address, 4000) == 4000
    assert read(taken) == {b"n"}
    taken.close()


def test_a_pin_that_was_closed_taints_nothing(arena: scamem.Arena) -> None:
    """Who unpins says that no I/O is left; its death then is like any other."""
    obj = arena.alloc(SIZE)

    def body(talk: Talk) -> None:
        obj.pin(io=True).close()
        talk.say()
        talk.hear()

    with child(body) as started:
        started.hear()
        obj.close()
        killed(arena, started)
    assert arena.objects() == []
    next_owners(arena).close()
