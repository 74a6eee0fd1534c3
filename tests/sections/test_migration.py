"""A section that goes offline: what nobody looks at moves, with its bytes, names and handles."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import mm
from scamem.core.store import layout as L
from scamem.membership import joined, member
from scamem.memory import evacuation, moves

MIB = 1 << 20
FRAME = 4096
SPAWN = multiprocessing.get_context("spawn")
Looks = list[Callable[[], None]]


@pytest.fixture
def after_copying(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """What is done between the copying of an object and the exchange, one a try."""
    todo: Looks = []
    copy_frames: Any = moves.copy_frames

    def copy(*args: Any) -> bool:
        done: bool = copy_frames(*args)
        if todo:
            todo.pop()()
        return done

    monkeypatch.setattr(moves, "copy_frames", copy)
    return todo


def sections_of(arena: scamem.Arena, obj: scamem.Scamem) -> list[int]:
    return [int(k) for k in np.unique(arena.page_to_section(obj.pages))]


def words(obj: scamem.Scamem) -> Any:
    view: Any = obj.map()
    return np.frombuffer(view, np.uint64)


def pattern(obj: scamem.Scamem) -> Any:
    return np.arange(obj.nbytes // 8, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def filled(arena: scamem.Arena, nbytes: int, name: str = "") -> scamem.Scamem:
    obj = arena.alloc(nbytes)
    words(obj)[:] = pattern(obj)
    if name:
        arena.publish(name, obj)
    return obj


def whole(obj: scamem.Scamem) -> bool:
    return bool((words(obj) == pattern(obj)).all())


def is_offline(arena: scamem.Arena, section: int) -> bool:
    info = arena.sections()[section]
    return (info.state, info.populated_bytes) == ("offline", 0)


def look_by_name(answers: Connection, address: Any, handle: bytes) -> None:
    """What another process finds by a name and by a handle."""
    arena = joined.reach(address).arena
    by_name, by_handle = arena.get("kept"), scamem.from_handle(handle)
    answers.send((by_name.index, by_handle.index, whole(by_name), whole(by_handle)))


def test_what_only_names_keep_moves(arena: scamem.Arena) -> None:
    """And another process finds it by its name and by the handle that was sent before."""
    obj = filled(arena, 3 * MIB, "kept")
    index, generation = obj.index, obj.generation
    with scamem.handle(obj) as handle:
        sent = bytes(handle)
    section = sections_of(arena, obj)
    assert section == [0]
    frames = obj.pages.tolist()
    obj.close()
    arena.offline_section(0)
    assert is_offline(arena, 0)
    assert arena.check() == []
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=look_by_name, args=(theirs, arena._seat.address(), sent))
    child.start()
    assert ours.recv() == (index, index, True, True)
    child.join()
    obj = arena.get("kept")
    assert (obj.index, obj.generation) == (index, generation)
    assert not set(frames) & set(obj.pages.tolist())
    assert [arena.page_to_scamem(pfn) for pfn in frames[:3]] == [None] * 3
    assert arena.page_to_object(obj.pages)["object"].tolist() == [index] * obj.nr
    arena.unpublish("kept")


def test_what_this_process_has_in_hand_moves(arena: scamem.Arena) -> None:
    objects = [filled(arena, (1 + 7 * k) * FRAME) for k in range(20)]
    packed = arena.put({"x": np.arange(1000), "y": "text"})
    kept = arena.put(np.arange(5000))
    arena.offline_section(0)
    assert is_offline(arena, 0)
    assert all(whole(obj) for obj in objects)
    assert all(0 not in sections_of(arena, obj) for obj in objects)
    assert arena.get(packed)["x"].sum() == 499500
    assert arena.get(packed)["y"] == "text"
    assert (arena.get(kept) == np.arange(5000)).all()


def test_scattered_objects_over_several_sections(arena: scamem.Arena) -> None:
    small = [arena.alloc(FRAME) for _ in range(3000)]
    del small[::2]
    objects = [filled(arena, 6 * MIB, f"name{k}") for k in range(3)]
    runs = sum(len(obj.runs) for obj in objects)
    assert runs > 500
    del small
    for obj in objects:
        obj.close()
    for section in (0, 1):
        arena.offline_section(section)
        assert is_offline(arena, section)
    for k in range(3):
        obj = arena.get(f"name{k}")
        assert whole(obj)
        assert not {0, 1} & set(sections_of(arena, obj))
        arena.unpublish(f"name{k}")


def hold_in_hand(talk: Connection, address: Any) -> None:
    arena = joined.reach(address).arena
    held = arena.get("kept")
    pin = held.pin() if talk.recv() == "pin" else None
    talk.send(os.getpid())
    talk.recv()
    del held, pin


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda obj: obj.map(), "mappings=1 hands=1"),
        (lambda obj: obj.pin(), "pins=1 hands=1"),
        (lambda obj: obj.pin(io=True), "io_pins=1 hands=1"),
    ],
)
def test_what_is_looked_at_stays(
    arena: scamem.Arena, how: Callable[[scamem.Scamem], Any], said: str
) -> None:
    other, obj = filled(arena, 2 * FRAME, "other"), filled(arena, 3 * FRAME, "kept")
    pages = obj.pages.tolist(), other.pages.tolist()
    look = how(obj)
    expected = f"object {obj.index} .*process {os.getpid()}: {said}"
    with pytest.raises(scamem.SectionBusyError, match=expected) as caught:
        arena.offline_section(0)
    assert caught.value.objects == (other.index, obj.index)
    assert (obj.pages.tolist(), other.pages.tolist()) == pages  # none was moved for nothing
    del look
    arena.offline_section(0)
    assert is_offline(arena, 0)
    arena.unpublish("kept")
    arena.unpublish("other")


@pytest.mark.parametrize("how", ["pin", "hand"])
def test_what_another_process_holds_stays(arena: scamem.Arena, how: str) -> None:
    obj = filled(arena, 3 * FRAME, "kept")
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=hold_in_hand, args=(theirs, arena._seat.address()))
    child.start()
    ours.send(how)
    assert ours.recv() == child.pid
    with pytest.raises(scamem.SectionBusyError, match=f"process {child.pid}: .*kept"):
        arena.offline_section(0)
    assert whole(obj)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    arena.offline_section(0)
    assert is_offline(arena, 0)
    assert whole(obj)
    arena.unpublish("kept")


def test_no_room_elsewhere(arena: scamem.Arena) -> None:
    obj = filled(arena, 6 * MIB, "kept")
    rest = [arena.alloc(8 * MIB) for _ in range(7)]
    pages = obj.pages.tolist()
    section = sections_of(arena, obj)[0]
    with pytest.raises(scamem.SectionBusyError, match="no room for them elsewhere: asked"):
        arena.offline_section(section)
    assert obj.pages.tolist() == pages
    assert whole(obj)
    assert arena.check() == []
    rest.pop()
    arena.offline_section(section)
    assert whole(obj)
    arena.unpublish("kept")


def test_what_a_thread_writes_meanwhile_is_kept(arena: scamem.Arena, after_copying: Looks) -> None:
    """It maps, writes and unmaps while the object is copied: the copy is worthless."""
    obj = filled(arena, 3 * FRAME, "kept")

    def write() -> None:
        other = arena.get("kept")
        words(other)[5] = 77
        other.close()

    def write_by_array() -> None:
        arena.get(scamem.handle(obj)).map()
        view = words(obj)
        view[6] = 78
        del view

    after_copying += [write, write_by_array]
    arena.offline_section(0)
    assert after_copying == []
    assert is_offline(arena, 0)
    assert words(obj)[5:7].tolist() == [77, 78]
    words(obj)[5:7] = pattern(obj)[5:7]
    assert whole(obj)
    arena.unpublish("kept")


def write_by_name(address: Any) -> None:
    obj = joined.reach(address).arena.get("kept")
    words(obj)[5] = 77


def test_what_another_process_writes_meanwhile_is_kept(
    arena: scamem.Arena, after_copying: Looks
) -> None:
    filled(arena, 3 * FRAME, "kept").close()

    def write() -> None:
        child = SPAWN.Process(target=write_by_name, args=(arena._seat.address(),))
        child.start()
        child.join()
        assert child.exitcode == 0
        arena.reap()

    after_copying.append(write)
    arena.offline_section(0)
    assert after_copying == []
    assert words(arena.get("kept"))[5] == 77
    arena.unpublish("kept")


def test_what_grows_or_shrinks_meanwhile(arena: scamem.Arena, after_copying: Looks) -> None:
    obj = filled(arena, 3 * FRAME)
    after_copying += [lambda: obj.resize(2 * FRAME), lambda: obj.resize(40 * FRAME)]
    arena.offline_section(0)
    assert after_copying == []
    assert is_offline(arena, 0)
    assert obj.nr == 2
    assert whole(obj)


def test_what_ends_meanwhile(arena: scamem.Arena, after_copying: Looks) -> None:
    filled(arena, 3 * FRAME, "kept").close()
    after_copying.append(lambda: arena.unpublish("kept"))
    arena.offline_section(0)
    assert arena.objects() == []
    assert arena.stats().frames_free == arena.stats().frames_online


def test_a_fork_meanwhile(arena: scamem.Arena, after_copying: Looks) -> None:
    """The child holds it as its parent does, so it stays where it is until the child is gone."""
    obj = filled(arena, 3 * FRAME, "kept")
    children = []

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        children.append(pid)

    after_copying.append(fork)
    try:
        with pytest.raises(scamem.SectionBusyError, match="kept"):
            arena.offline_section(0)
        assert whole(obj)
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)
    arena.offline_section(0)
    assert whole(obj)
    arena.unpublish("kept")


def test_looked_at_again_and_again(arena: scamem.Arena, after_copying: Looks) -> None:
    obj = filled(arena, 3 * FRAME)
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        obj.map()
        after_copying.append(look)

    after_copying.append(look)
    with pytest.raises(scamem.SectionBusyError, match=f"object {obj.index} "):
        arena.offline_section(0)
    assert looks == 8
    after_copying.clear()
    assert whole(obj)
    assert arena.check() == []
    arena.offline_section(0)
    assert whole(obj)


def test_what_fails_half_way(arena: scamem.Arena, after_copying: Looks) -> None:
    """A signal comes while it copies: the object is as it was, and nothing is kept for the copy."""
    obj = filled(arena, 3 * FRAME, "kept")
    free = arena.stats().frames_free

    def interrupt() -> None:
        raise KeyboardInterrupt

    after_copying.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        arena.offline_section(0)
    assert whole(obj)
    stats = arena.stats()
    assert stats.frames_online - stats.frames_free == 3
    assert stats.frames_free >= free
    assert arena.check() == []
    arena.offline_section(0)
    assert whole(obj)
    arena.unpublish("kept")


def test_taint_and_pickles(arena: scamem.Arena) -> None:
    """Frames that a dead member's I/O may reach are cleaned, not kept; a pickle stays one."""
    sent = arena.put({"a": list(range(1000))})
    obj = filled(arena, 3 * FRAME, "kept")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        pin = arena.get("kept").pin(io=True)
        os.write(write, b"%d" % pin.nframes)
        signal.pause()
    assert os.read(read, 1) == b"3"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(read)
    os.close(write)
    arena.reap()
    flags = arena._seat.member.object_words(obj.index)
    assert flags is not None
    assert flags[L.OBJECT_STATE] & L.OBJECT_TAINTED
    arena.offline_section(0)
    flags = arena._seat.member.object_words(obj.index)
    assert flags is not None
    assert not flags[L.OBJECT_STATE] & (L.OBJECT_TAINTED | L.OBJECT_MIGRATING)
    assert is_offline(arena, 0)
    assert whole(obj)
    assert arena.get(sent) == {"a": list(range(1000))}
    with scamem.by_handle():
        assert arena.get(pickle.loads(pickle.dumps(sent))) == {"a": list(range(1000))}
    arena.unpublish("kept")


def test_counters_are_not_lost(arena: scamem.Arena) -> None:
    """Threads count in an object that moves from section to section: no count is lost."""
    arena.publish("counter", arena.zeros(512, np.uint64))
    moved = 0
    stop = threading.Event()
    lock = threading.Lock()

    def count() -> int:
        done = 0
        while not stop.is_set() or done < 200:
            with lock:
                counter: Any = arena.get("counter")
                counter[0] += 1
                del counter
            done += 1
        return done

    with ThreadPoolExecutor(2) as threads:
        jobs = [threads.submit(count) for _ in range(2)]
        for turn in range(60):
            with contextlib.suppress(scamem.SectionBusyError):
                arena.offline_section(turn % 3)
                moved += 1
            arena.online_section(turn % 3)
        stop.set()
        total = sum(job.result() for job in jobs)
    counter: Any = arena.get("counter")
    assert int(counter[0]) == total
    assert moved > 0
    del counter
    arena.unpublish("counter")


def test_a_page_that_moves_is_not_taken(
    arena: scamem.Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the exchange and the cleaning the old frames' words still name the object."""
    obj = filled(arena, 2 * FRAME, "kept")
    old = mm.pfn_to_page(arena, int(obj.pages[0]))
    said: list[str] = []
    release: Any = member.release

    def look_first(held: Any) -> None:
        if old.pfn not in obj.pages and not said:
            assert arena.page_to_object(old.pfn)["object"] == obj.index
            with pytest.raises(scamem.StaleHandleError, match="about to leave") as caught:
                mm.get_page(old)
            said.append(str(caught.value))
            mm.get_page(mm.pfn_to_page(arena, int(obj.pages[0])))
        release(held)

    monkeypatch.setattr(evacuation, "release", look_first)
    arena.offline_section(0)
    assert said
    assert whole(obj)
    arena.unpublish("kept")
