"""Members that are stopped, closed, replaced or killed while they hold something."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena, LockTimeoutError
from scamem.handles.convert import load_handle
from tests.backing.children import Talk
from tests.death import operations
from tests.death.nursery import Nursery, Victim
from tests.death.operations import SMALL_BYTES, Hook

INSIDE_STORE = 20  # of an allocation: its lock is held, its journal is not empty
VALUES = 100_000


@pytest.fixture
def arena(place: Path) -> Iterator[Arena]:
    made = Arena.create(str(place / "arena"), capacity=16 << 20, slots=8)
    made.alloc(SMALL_BYTES).close()
    made._seat.member.lock_timeout_s = 0.2
    yield made
    made.close()


@contextlib.contextmanager
def stopped_inside(nursery: Nursery, arena: Arena) -> Iterator[Victim]:
    """A member that stopped in the middle of an allocation; it goes on when the block ends."""
    args = (operations.AllocSmall, arena.path, INSIDE_STORE, b"", signal.SIGSTOP)
    with nursery.start(operations.perform, *args) as victim:
        victim.await_stop()
        yield victim
        os.kill(victim.pid, signal.SIGCONT)
        victim.hear()
        victim.wait()


def test_stopped_lock_holder_is_an_error_that_names_it(arena: Arena, stop_nursery: Nursery) -> None:
    with stopped_inside(stop_nursery, arena) as victim:
        with pytest.raises(LockTimeoutError, match=f"kill -CONT {victim.pid}") as caught:
            arena.alloc(SMALL_BYTES)
        assert caught.value.pid == victim.pid
        assert caught.value.slot is not None
    arena.alloc(SMALL_BYTES).close()
    assert arena.stats().objects == 0
    assert arena.check() == []


def test_stopped_lock_holder_delays_no_deallocation(arena: Arena, stop_nursery: Nursery) -> None:
    obj = arena.alloc(SMALL_BYTES)
    with stopped_inside(stop_nursery, arena):
        obj.close()  # left to whoever has the lock: the stopped one drops it when it goes on
    assert arena.objects() == []
    assert arena.check() == []


def hold_and_drop(talk: Talk, path: str, store: int) -> None:
    """Drop an object while another has the lock, armed."""
    arena = Arena.join(path)
    obj = arena.alloc(SMALL_BYTES)
    hook = Hook(path)
    talk.say("held")
    talk.hear()
    hook.arm(store)
    obj.close()
    hook.disarm()
    talk.say("dropped")
    talk.hear()


def test_death_at_every_store_of_a_deferred_drop(arena: Arena, stop_nursery: Nursery) -> None:
    kills = 0
    for store in itertools.count(1):
        with stop_nursery.start(hold_and_drop, arena.path, store) as dropper:
            assert dropper.hear() == "held"
            with stopped_inside(stop_nursery, arena):
                dropper.say("go")
                dropped = True
                try:
                    dropper.hear()
                except EOFError:
                    dropped = False
                    dropper.wait()
            kills += not dropped
            assert arena.objects() == []  # also where the dropper is idle, and alive
            assert len(arena.stats().members) == 1 + dropped
            assert arena.check() == []
            if dropped:
                break
    print(f"{kills} kills at stores 1 to {store - 1} of a deferred drop, all with the lock held")
    assert kills > 3


def test_death_at_every_store_while_dropping_for_others(
    arena: Arena, stop_nursery: Nursery
) -> None:
    """The lock's holder is killed while it drops what others could not wait to drop."""
    hook, kills, status = Hook(arena), 0, 1
    args = (operations.AllocSmall, arena.path, INSIDE_STORE, b"", signal.SIGSTOP)
    while status != 0:
        obj, another = arena.alloc(SMALL_BYTES), arena.alloc(SMALL_BYTES)
        with stop_nursery.start(operations.perform, *args) as victim:
            victim.await_stop()
            obj.close()
            another.close()
            hook.arm(kills + 1, signal.SIGKILL, victim.pid)
            os.kill(victim.pid, signal.SIGCONT)
            status = victim.wait()
            kills += status != 0
        arena.alloc(SMALL_BYTES).close()
        assert arena.objects() == []
        assert len(arena.stats().members) == 1
        if status == 0 or kills % 4 == 0:
            assert arena.check() == []
    print(
        f"{kills} kills at stores {INSIDE_STORE + 1} to {INSIDE_STORE + kills} of a lock's holder"
    )
    hook.close()
    assert kills > 150  # the rest of an allocation, and two objects dropped


def values() -> np.ndarray:
    return np.arange(VALUES)


def create_and_publish(talk: Talk, path: str | None) -> None:
    """The creator: an arena, a name, a loan, and objects that only it holds."""
    arena = Arena.create(path, capacity=64 << 20, slots=8)
    shared = arena.array(values())
    arena.publish("shared", shared)
    alone = [arena.zeros(1000) for _ in range(10)]
    talk.say((bytes(scamem.handle(shared)), len(alone)))
    talk.hear()


@pytest.mark.parametrize("named", [True, False], ids=["named", "anonymous"])
def test_creator_is_killed_and_others_go_on(nursery: Nursery, place: Path, named: bool) -> None:
    with nursery.start(create_and_publish, str(place / "a") if named else None) as creator:
        handle = load_handle(creator.hear()[0])
        arena = handle.arena
        assert isinstance(arena, Arena)
        found = arena.get(handle)
        handle.close()
        assert len(arena.objects()) == 11
        creator.kill()
        assert arena.reap() == 1
        assert (found == values()).all()
        assert len(arena.objects()) == 1
        (member,) = arena.stats().members
        assert member.pid == os.getpid()
        assert (arena.array(found) == values()).all()
        arena.unpublish("shared")
        del found
        arena.reap(loans=True)
        assert arena.objects() == []
        assert arena.check() == []
        arena.close()


def load_and_hold(talk: Talk, data: bytes) -> None:
    found = scamem.from_handle(data)
    talk.say(int(found.sum()))
    talk.hear()


def who_has(label: str) -> list[str]:
    """Mappings and descriptors of any process, by a part of their name."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = Path(f"/proc/{pid}/maps").read_text()
            text += "".join(
                os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")
            )
        except OSError:
            continue  # it ended, or is not to be looked at
        if label in text:
            found.append(pid)
    return found


def test_all_killed_and_an_anonymous_arena_leaves_nothing(nursery: Nursery) -> None:
    with nursery.start(create_and_publish, None) as creator:
        data = creator.hear()[0]
        arena_id = int.from_bytes(data[4:20], "little")
        with nursery.start(load_and_hold, data) as other:
            assert other.hear() == values().sum()
            assert set(who_has(f"{arena_id:032x}")) == {str(creator.pid), str(other.pid)}
            other.kill()
            creator.kill()
    assert who_has(f"{arena_id:032x}") == []  # memfds: what nobody has open or mapped is gone


def test_all_killed_and_a_named_arena_is_joined_again(nursery: Nursery, place: Path) -> None:
    path = str(place / "arena")
    with nursery.start(create_and_publish, path) as creator:
        data = creator.hear()[0]
        with nursery.start(load_and_hold, data) as other:
            assert other.hear() == values().sum()
            other.kill()
            creator.kill()
    arena = Arena.join(path)
    assert (arena["shared"] == values()).all()
    (info,) = arena.objects()
    assert info.names == ("shared",)
    assert [holder.kind for holder in info.holders] == ["area"]
    assert arena.stats().loans == 0  # the one there was had been loaded
    assert arena.check() == []
    arena.close()


def execute(talk: Talk, path: str) -> None:
    arena = Arena.join(path)
    held = [arena.alloc(SMALL_BYTES) for _ in range(3)]
    held[0].map()
    talk.say("held")
    talk.hear()
    read, write = talk.descriptors()
    for number in (read, write):
        os.set_inheritable(number, True)
    script = (
        "import os, pickle, sys\n"
        "os.write(int(sys.argv[2]), pickle.dumps('executed'))\n"
        "os.read(int(sys.argv[1]), 1)\n"
    )
    os.execv(sys.executable, [sys.executable, "-S", "-c", script, str(read), str(write)])


def test_exec_drops_what_the_program_before_held(arena: Arena, nursery: Nursery) -> None:
    with nursery.start(execute, arena.path) as victim:
        assert victim.hear() == "held"
        assert len(arena.objects()) == 3
        victim.say("go")
        assert victim.hear() == "executed"
        assert arena.reap() == 1
        assert arena.objects() == []
        os.kill(victim.pid, 0)  # it is alive, as another program


def open_files(users: str) -> list[Any]:
    """A user's own files, under the numbers that have just become free."""
    return [Path(f"{users}-{number}").open("w+b") for number in range(64)]


def close_all(talk: Talk, data: bytes, users: str) -> None:
    """Close every descriptor, open files of one's own under their numbers, and go on."""
    arena = load_handle(data).arena
    keep = set(talk.descriptors())
    for number in set(range(3, 4096)) - keep:
        with contextlib.suppress(OSError):
            os.close(number)
    files = open_files(users)
    for file in files:
        file.write(b"the user's")
        file.flush()
    before = [os.fstat(file.fileno()) for file in files]
    reaped = arena.reap()
    held = arena.alloc(SMALL_BYTES)
    operations.fill(held)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if operations.is_filled(held) else 1)
    status = os.waitpid(pid, 0)[1]
    after = [os.fstat(file.fileno()) for file in files]
    locks = Path("/proc/locks").read_text()
    same = all(os.path.samestat(*pair) for pair in zip(before, after, strict=True))
    contents = {os.pread(file.fileno(), 100, 0) for file in files}
    talk.say(
        {
            "reaped": reaped,
            "child": status,
            "same files": same,
            "contents": contents,
            "locked": [stat.st_ino for stat in after if f":{stat.st_ino} " in locks],
            "members": sorted(member.pid for member in arena.stats().members),
        }
    )
    talk.hear()


@pytest.mark.parametrize("named", [True, False], ids=["named", "anonymous"])
def test_descriptors_closed_and_their_numbers_reused(
    nursery: Nursery, place: Path, tmp_path: Path, named: bool
) -> None:
    arena = Arena.create(str(place / "a") if named else None, capacity=16 << 20, slots=8)
    shared = arena.alloc(SMALL_BYTES)
    with nursery.start(close_all, bytes(scamem.handle(shared)), str(tmp_path / "file")) as victim:
        said = victim.hear()
        assert said == {
            "reaped": 0,
            "child": 0,
            "same files": True,
            "contents": {b"the user's"},
            "locked": [],
            "members": sorted([os.getpid(), victim.pid]),
        }
        assert arena.reap() == 0
        victim.kill()
    assert arena.reap() == 1
    shared.close()
    assert arena.objects() == []
    arena.close()


def be_blind(users: str) -> tuple[str, int, int]:
    """Nobody else has the anonymous arena: no way leads to its file any more."""
    arena = Arena.create(capacity=16 << 20, slots=8)
    held = arena.alloc(SMALL_BYTES)
    operations.fill(held)
    for number in range(3, 4096):
        with contextlib.suppress(OSError):
            os.close(number)
    files = open_files(users)
    error = ""
    try:
        arena.reap()
    except scamem.BlindError as caught:
        error = str(caught)
    again = arena.alloc(SMALL_BYTES)
    operations.fill(again)
    return error, int(operations.is_filled(held)), sum(os.fstat(f.fileno()).st_size for f in files)


def test_blind_member_says_so_and_goes_on(nursery: Nursery, tmp_path: Path) -> None:
    with nursery.start(_tell, be_blind, str(tmp_path / "file")) as victim:
        error, filled, bytes_in_files = victim.hear()
    assert "keep scamem's descriptors open, or use a named arena" in error
    assert filled
    assert bytes_in_files == 0


def _tell(talk: Talk, body: Callable[[str], object], users: str) -> None:
    """Answer on descriptors that stay open: high numbers."""
    high = [os.dup2(number, 5000 + k) for k, number in enumerate(talk.descriptors())]
    Talk(*high).say(body(users))
