"""A closed arena is left with the last thing that is held of it: nothing stays behind."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import child, in_child, run_script

CAPACITY = 16 << 20
ROUNDS = 300  # more than the 256 arenas that a process could once join


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def mappings() -> int:
    with open("/proc/self/maps") as text:
        return sum(1 for line in text if "scamem" in line or "control" in line or "frames" in line)


def anonymous_pages() -> int:
    """Count lone anonymous pages: what each closed arena once left behind."""
    found = 0
    with open("/proc/self/maps") as text:
        for line in text:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            found += end - start == 4096 and line.split()[1] == "rw-p" and len(line.split()) == 5
    return found


def test_with_an_array_still_in_use(place: Path) -> None:
    """The pattern of the front page, in a loop: what was got outlives the block."""
    with scamem.Arena.create("a", capacity=CAPACITY) as arena:
        arena["latest"] = np.zeros((48, 64))

    def body() -> tuple[int, ...]:
        picture = None
        before = 0, 0
        gc.collect()  # arenas of other tests, which would be left in the middle of this one
        for number in range(ROUNDS):
            with scamem.Arena.open("a") as arena:
                arena["latest"] = np.full((48, 64), number)
                picture = arena.get("latest")
            if number == 1:
                before = descriptors(), mappings()
        assert (np.asarray(picture) == ROUNDS - 1).all()
        assert (descriptors(), mappings()) == before
        picture = None
        return descriptors(), mappings()

    assert in_child(body) == in_child(lambda: (descriptors(), mappings()))
    with scamem.Arena.join("a") as arena:
        assert len(arena.stats().members) == 1
        assert arena.check() == []


def test_results_that_are_kept_share_one_seat(place: Path) -> None:
    """A helper that opens, reads and closes: the process is one member, however much it keeps."""
    with scamem.Arena.create("a", capacity=CAPACITY) as arena:
        for number in range(20):
            arena[f"part/{number}"] = np.full(10, number)

    def load(name: str) -> Any:
        with scamem.Arena.open("a") as arena:
            return arena[name]

    def body() -> int:
        kept = [load(f"part/{number % 20}") for number in range(ROUNDS)]
        assert [int(one[0]) for one in kept] == [number % 20 for number in range(ROUNDS)]
        with scamem.Arena.open("a") as arena:
            members = len(arena.stats().members)
        kept.clear()
        with scamem.Arena.open("a") as arena:
            assert all(info.refcount == 1 for info in arena.objects())
        return members

    assert in_child(body) == 1


@pytest.mark.parametrize(
    "held",
    [
        lambda arena: arena.zeros(1000),
        lambda arena: arena.zeros(1000)[10:20],
        lambda arena: np.asarray(arena.zeros(1000)),
        lambda arena: arena.alloc(8192),
        lambda arena: arena.alloc(8192).pin(),
        lambda arena: arena.alloc(8192).map(),
        lambda arena: memoryview(arena.alloc(8192).map(private=True)),
        lambda arena: arena.put([1, 2]),
        lambda arena: arena.zeros(1000).readonly(),
        lambda arena: arena.ring(4096),
        lambda arena: arena.growable((3,)),
        lambda arena: arena.concatenate([arena.zeros(512), arena.zeros(512)], copy=False),
    ],
    ids=[
        "array", "slice", "ndarray", "Scamem", "Pin", "View", "private", "Handle", "readonly",
        "ring", "growable", "stitched",
    ],
)  # fmt: skip
def test_whatever_is_held(held: Callable[[scamem.Arena], object]) -> None:
    def body() -> None:
        np.zeros(1).sum()
        before: tuple[int, ...] | None = None
        for _ in range(5):
            arena = scamem.Arena.create(capacity=CAPACITY)
            kept = held(arena)
            seat = arena._seat
            arena.close()
            assert (arena.closed, seat.member.is_active()) == (True, True)
            with pytest.raises(scamem.ClosedError):
                arena.alloc(1)
            del kept
            gc.collect()
            assert not seat.member.is_active()
            del arena, seat
            seen = descriptors(), mappings(), anonymous_pages()
            before = before or seen
            assert seen == before

    in_child(body)


def test_frames_go_back_to_the_system() -> None:
    """Although the Arena itself is still in a variable."""

    def body() -> None:
        arenas = []
        for _ in range(10):
            arena = scamem.Arena.create(capacity=CAPACITY)
            kept = arena.full(100_000, 1.0)
            inodes = arena._seat.frames.inode
            arena.close()
            arenas.append((arena, inodes))
            assert kept[-1] == 1.0
            del kept
        open_now = {os.stat(f"/proc/self/fd/{fd}").st_ino for fd in os.listdir("/proc/self/fd")
                    if os.path.exists(f"/proc/self/fd/{fd}")}  # fmt: skip
        assert not open_now & {inode for _, inode in arenas}
        assert all(arena.closed for arena, _ in arenas)

    in_child(body)


def test_open_again_while_something_is_held(place: Path) -> None:
    def body() -> None:
        first = scamem.Arena.create("a", capacity=CAPACITY)
        kept = first.full(10, 3)
        slot = first.slot
        first.close()
        second = scamem.Arena.join("a")
        assert second is not first
        assert (first.closed, second.closed) == (True, False)
        assert second.slot == slot
        with pytest.raises(scamem.ClosedError):
            first.stats()
        first.close()  # again: nothing, for the other one too
        assert second.stats().objects == 1
        second["kept"] = kept
        second.close()
        del kept
        with scamem.Arena.join("a") as third:
            assert third["kept"].tolist() == [3] * 10

    in_child(body)


def test_the_last_thread_to_let_go_leaves(place: Path) -> None:
    def body() -> None:
        for _ in range(30):
            arena = scamem.Arena.open("a", capacity=CAPACITY)
            seat = arena._seat
            kept = [arena.zeros(100) for _ in range(8)]
            arena.close()
            begin = threading.Barrier(len(kept))

            def drop(one: list[Any], begin: threading.Barrier = begin) -> None:
                begin.wait()
                one.clear()

            threads = [threading.Thread(target=drop, args=([kept.pop()],)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            del threads, thread
            gc.collect()
            assert not seat.member.is_active()

    in_child(body)


def test_a_forked_child_leaves_too(place: Path) -> None:
    keeper = scamem.Arena.create("a", capacity=CAPACITY)

    def body() -> None:
        arena = scamem.Arena.join("a")
        kept = arena.zeros(100)
        arena.close()

        def inside() -> None:
            nonlocal kept
            del kept

        in_child(inside)
        assert kept.sum() == 0

    in_child(body)
    keeper.reap()
    assert keeper.objects() == []
    assert len(keeper.stats().members) == 1
    keeper.close()


CLIENT = """
import sys, scamem
from multiprocessing.connection import Client
connection = Client(sys.argv[1], authkey=b"k")
x = scamem.zeros(1_000_000, "u1")
connection.send_bytes(bytes(scamem.handle(x)))
connection.recv()
"""


def test_a_server_keeps_nothing_of_clients_that_are_gone(tmp_path: Path) -> None:
    script = f"""
    import gc, os, subprocess, sys
    from multiprocessing.connection import Listener
    import scamem
    from tests.arena.test_closing import CLIENT
    listener = Listener({str(tmp_path / "socket")!r}, authkey=b"k")
    seen = []
    for number in range(6):
        client = subprocess.Popen([sys.executable, "-c", CLIENT, listener.address])
        connection = listener.accept()
        x = scamem.from_handle(connection.recv_bytes())
        assert x.sum() == 0
        del x
        connection.send(1)
        client.wait()
        seen.append(len(os.listdir("/proc/self/fd")))
    print(len(set(seen)))
    """
    assert run_script(script) == "1\n"


@pytest.mark.parametrize("used", [True, False])
def test_an_arena_in_a_variable_is_not_left(used: bool) -> None:
    """Joined by a handle, idle, and nobody else is there: it is left unless it is in use here."""

    def hold(talk: Any) -> None:
        obj = scamem.from_handle(talk.hear())
        seat = obj.seat
        arena = obj.arena if used else None
        obj.close()
        talk.say()
        talk.hear()  # the other one has left
        scamem.Arena.create(capacity=CAPACITY).close()  # it is looked at when another is joined
        talk.say((seat.member.is_active(), arena is None or arena.alloc(1).nr == 1))

    with child(hold) as other:  # before the arena is there: it is no forked member
        arena = scamem.Arena.create(capacity=CAPACITY)
        with arena.alloc(1) as obj:
            other.say(bytes(scamem.handle(obj)))
            other.hear()
        arena.close()
        other.say()
        assert other.hear() == (used, True)
