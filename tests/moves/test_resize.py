"""Objects that grow, shrink, and become one: no byte moves, and nobody's view is harmed."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena, ObjectBusyError, OutOfMemoryError, Scamem
from scamem.membership import joined

FRAME = 4096
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def arena() -> Iterator[Arena]:
    with Arena.create(capacity=16 << 20) as made:
        yield made
        assert made.check() == []


def seen(obj: Scamem) -> Any:
    view: Any = obj.map()
    return np.frombuffer(view, dtype=np.uint8)


def filled(arena: Arena, frames: int, value: int) -> Scamem:
    obj = arena.alloc(frames * FRAME)
    seen(obj)[:] = value
    return obj


def scatter(arena: Arena) -> list[Scamem]:
    """Use all frames but 200 that lie apart, so that what comes next lies in runs of one."""
    used = [arena.alloc(FRAME) for _ in range(400)]
    return [*used[::2], arena.alloc(arena.capacity - 400 * FRAME)]


def follow(reader: Connection, data: bytes) -> None:
    """Say what a name shows, each time when asked, until told to end."""
    arena = joined.reach(scamem.from_handle(data).arena._seat.address()).arena
    while reader.recv():
        obj = arena.get("growing")
        reader.send((obj.nr, [int(value) for value in seen(obj)[::FRAME]]))


def test_growing_keeps_what_is_there(arena: Arena) -> None:
    obj = filled(arena, 2, 7)
    before = obj.pages.tolist()
    view = seen(obj)
    obj.resize(100 * FRAME - 1)
    assert obj.nr == 100
    assert obj.pages.tolist()[:2] == before
    assert len(seen(obj)) == 100 * FRAME
    assert (seen(obj)[: 2 * FRAME] == 7).all()
    view[0] = 8  # made before, and still a view of the same frames
    assert seen(obj)[0] == 8
    for pfn in obj.pages.tolist():
        found = arena.page_to_scamem(pfn)
        assert found is not None
        assert found.index == obj.index


def test_growing_is_seen_by_another_process(arena: Arena) -> None:
    kept = scatter(arena)
    obj = filled(arena, 1, 1)
    arena.publish("growing", obj)
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=follow, args=(theirs, bytes(scamem.handle(obj))))
    child.start()
    for size in (1, 2, 40):
        obj.resize(size * FRAME)
        seen(obj)[:] = size
        ours.send(True)
        assert ours.recv() == (size, [size] * size)
    ours.send(False)
    child.join()
    assert child.exitcode == 0
    arena.unpublish("growing")
    assert len(obj.runs) > 1
    del kept


def test_shrinking_gives_frames_back(arena: Arena) -> None:
    kept = scatter(arena)
    free = arena.stats().frames_free
    obj = filled(arena, 50, 3)
    pages = obj.pages.tolist()
    assert len(obj.runs) > 3
    for size in (49, 33, 2, 1):
        obj.resize(size * FRAME)
        assert obj.pages.tolist() == pages[:size]
        assert arena.stats().frames_free == free - size
        assert all(arena.page_to_scamem(pfn) is None for pfn in pages[size:])
        assert (seen(obj) == 3).all()
        assert arena.check() == []
    obj.resize(0)
    assert obj.nr == 1
    del kept


def test_shrinking_what_somebody_may_look_at_is_refused(arena: Arena) -> None:
    obj = filled(arena, 4, 5)
    view = seen(obj)
    with pytest.raises(ObjectBusyError, match="mappings=1") as caught:
        obj.resize(FRAME)
    assert caught.value.holders
    del view
    pin = obj.pin()
    with pytest.raises(ObjectBusyError, match="pins=1"):
        obj.resize(FRAME)
    pin.close()
    arena.publish("shown", obj)
    with pytest.raises(ObjectBusyError, match="shown"):
        obj.resize(FRAME)
    arena.unpublish("shown")
    with scamem.handle(obj) as lent:
        bytes(lent)
        with pytest.raises(ObjectBusyError, match="loans=1"):
            obj.resize(FRAME)
        lent.cancel()
    assert obj.nr == 4
    obj.resize(FRAME)
    assert obj.nr == 1


def test_shrinking_what_a_child_holds_is_refused(arena: Arena) -> None:
    obj = filled(arena, 4, 5)
    ours, theirs = multiprocessing.Pipe()
    pid = os.fork()
    if pid == 0:
        try:
            theirs.send(arena.reap())  # what it does first tells its pid
            ours.close()
            theirs.poll(None)
        finally:
            os._exit(0)
    theirs.close()
    assert ours.recv() == 0
    with pytest.raises(ObjectBusyError, match=str(pid)):
        obj.resize(FRAME)
    ours.close()
    os.waitpid(pid, 0)
    arena.reap()
    obj.resize(FRAME)
    assert obj.nr == 1


def test_what_cannot_be_had_changes_nothing(arena: Arena) -> None:
    obj = filled(arena, 4, 5)
    with pytest.raises(OutOfMemoryError):
        obj.resize(1 << 30)
    with pytest.raises(ValueError, match="0 or more"):
        obj.resize(-1)
    assert obj.nr == 4
    assert (seen(obj) == 5).all()


def test_splice_moves_frames(arena: Arena) -> None:
    kept = scatter(arena)
    first, second = filled(arena, 3, 1), filled(arena, 40, 2)
    pages = first.pages.tolist() + second.pages.tolist()
    view = seen(first)
    first.splice(second)
    assert first.pages.tolist() == pages
    assert seen(first)[::FRAME].tolist() == [1] * 3 + [2] * 40
    assert len(view) == 3 * FRAME
    with pytest.raises(scamem.ClosedError):
        _ = second.nr
    found = [arena.page_to_scamem(pfn) for pfn in pages]
    assert {obj.index for obj in found if obj is not None} == {first.index}
    del found, kept


def test_splice_of_what_others_hold_is_refused(arena: Arena) -> None:
    first, second = filled(arena, 1, 1), filled(arena, 1, 2)
    view = seen(second)
    with pytest.raises(ObjectBusyError, match="mappings=1"):
        first.splice(second)
    assert second.nr == 1
    assert view[0] == 2
    del view
    again = arena.page_to_scamem(int(second.pages[0]))
    with pytest.raises(ObjectBusyError, match="hands=2"):
        first.splice(second)
    del again
    with pytest.raises(ValueError, match="itself"):
        first.splice(first)
    with Arena.create(capacity=8 << 20) as other:
        stranger = other.alloc(1)
        with pytest.raises(ValueError, match="another arena"):
            first.splice(stranger)
        stranger.close()
    first.splice(second)
    assert first.nr == 2


def test_many_members_grow_one_object(arena: Arena) -> None:
    """Each adds what is missing when it comes: in the end it is as large as the largest asked."""
    obj = filled(arena, 1, 1)
    arena.publish("growing", obj)
    children = []
    for k in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                mine = arena.get("growing")
                for size in range(2 + k, 40, 4):
                    if mine.nr < size:
                        mine.resize(max(size, mine.nr) * FRAME)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    arena.reap()
    assert obj.nr >= 37
    assert len(set(obj.pages.tolist())) == obj.nr
    arena.unpublish("growing")
