"""Read-only arrays, private views and snapshots: who sees what another process writes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import scamem
from tests.backing.children import Talk, child, in_child, run_script

FRAME = 4096


def scattered(arena: scamem.Arena, frames: int) -> scamem.Scamem:
    """An object of runs of one frame: all that is free in a full arena."""
    holes = [arena.alloc(FRAME) for _ in range(2 * frames)]
    rest = arena.alloc(arena.stats().frames_free * FRAME)
    del holes[::2]
    made = arena.alloc(frames * FRAME)
    assert len(made.runs) > 1
    rest.close()
    return made


def writer_of(handle: bytes) -> Callable[[Talk], None]:
    """A body for a child: it writes what it is told, into all of an array."""

    def body(talk: Talk) -> None:
        values = scamem.from_handle(handle)
        while True:
            values[...] = talk.hear()
            talk.say()

    return body


def test_what_is_written_to_a_private_view_stays_here(arena: scamem.Arena) -> None:
    obj = arena.alloc(3 * FRAME)
    shared = np.frombuffer(memoryview(obj.map()), np.uint8)
    shared[:] = 1
    mine = np.frombuffer(memoryview(obj.map(private=True)), np.uint8)
    mine[:FRAME] = 7
    shared[:] = 2
    assert mine[0] == 7
    assert mine[FRAME] == 2  # a page that was not written here shows the frame
    assert shared[0] == 2
    again = np.frombuffer(memoryview(obj.map(private=True)), np.uint8)
    assert again[0] == 2
    assert obj.refcount == 4


def test_a_scattered_object_can_be_private(arena: scamem.Arena) -> None:
    obj = scattered(arena, 4)
    shared = np.frombuffer(memoryview(obj.map()), np.uint8)
    shared[:] = 1
    mine = np.frombuffer(memoryview(obj.map(private=True)), np.uint8)
    mine[2 * FRAME :] = 9
    assert shared.sum() == 4 * FRAME
    assert mine.sum() == 2 * FRAME + 9 * 2 * FRAME


def test_private_views_do_not_travel_as_their_object(arena: scamem.Arena) -> None:
    obj = arena.alloc(FRAME)
    view = obj.map(private=True)
    values = np.frombuffer(memoryview(view), np.uint8).view(scamem.Array)
    values[:] = 3
    assert scamem.explain(values).startswith("by value")
    with scamem.by_handle():
        assert (pickle.loads(pickle.dumps(values)) == 3).all()
    with pytest.raises(TypeError, match="private"):
        scamem.handle(view)
    with pytest.raises(TypeError, match="private"):
        arena.publish("view", view)


def test_parent_and_child_each_have_their_own(arena: scamem.Arena) -> None:
    obj = arena.alloc(2 * FRAME)
    shared = np.frombuffer(memoryview(obj.map()), np.uint8)
    shared[:] = 1
    mine = np.frombuffer(memoryview(obj.map(private=True)), np.uint8)
    mine[0] = 2

    def in_it() -> list[int]:
        seen = [int(mine[0]), int(mine[FRAME])]
        mine[:] = 9
        return seen

    assert in_child(in_it) == [2, 1]
    assert mine[0] == 2
    assert (shared == 1).all()
    arena.reap()
    assert arena.check() == []


def test_a_blind_process_gets_a_clear_error() -> None:
    output = run_script(
        """
        import os, scamem
        arena = scamem.Arena.create(capacity=64 << 20)
        obj = arena.alloc(4096)
        os.closerange(3, 1000)
        try:
            obj.map(private=True)
        except scamem.BlindError as error:
            print("blind" if "descriptor" in str(error) else error)
        print(len(memoryview(obj.map())))
        """
    )
    assert output.split() == ["blind", "4096"]


def test_read_only_arrays(arena: scamem.Arena) -> None:
    values = arena.zeros((4, 5))
    seen = values[1:, ::2].readonly()
    values[1, 0] = 3
    assert seen[0, 0] == 3
    assert seen.shape == (3, 3)
    with pytest.raises(ValueError, match="read-only"):
        seen[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        seen.flags.writeable = True
    assert seen.readonly() is seen
    handle = scamem.handle(values)
    for other in (
        scamem.asarray(values, writable=False),
        arena.asarray([1.0], writable=False),
        scamem.from_handle(bytes(handle), writable=False),
        arena.get(handle, writable=False),
        scamem.from_handle(bytes(scamem.handle(seen))),
    ):
        assert not other.flags.writeable
    arena["values"] = values
    assert arena["values"].flags.writeable
    assert not arena.get("values", writable=False).flags.writeable
    del arena["values"]


def test_a_write_to_read_only_pages_is_a_fault(arena: scamem.Arena) -> None:
    import ctypes

    seen = arena.zeros(10).readonly()

    def write(_: Talk) -> None:
        ctypes.memset(seen.ctypes.data, 1, 8)

    with child(write) as started:
        assert os.WTERMSIG(started.wait()) == 11
    assert (seen == 0).all()


def test_a_snapshot_stays_as_it_is_while_another_writes(arena: scamem.Arena) -> None:
    values = arena.full((3, 1000), 1.0)
    with child(writer_of(bytes(scamem.handle(values)))) as writer:
        writer.say(2.0)
        writer.hear()
        then = values.snapshot()
        writer.say(3.0)
        writer.hear()
        assert (values == 3).all()
        assert (then == 2).all()
    assert type(then) is scamem.Array
    with pytest.raises(ValueError, match="copy=False"):
        values.snapshot(copy=False)
    joined = arena.concatenate([values, values[:1]])
    assert np.array_equal(joined.snapshot(), joined)
