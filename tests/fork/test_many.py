"""Forks in a row, beside busy threads, and forks for which there is no slot or no time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scamem import Arena, NotAMemberError
from tests.backing.children import Talk
from tests.death import operations
from tests.death.nursery import Nursery
from tests.death.operations import SMALL_BYTES

IN_A_ROW = 100  # of each of three kinds
THREADS = 3
FORKS_BESIDE_THREADS = 60


def fork_in_a_row() -> tuple[int, int, list[Any]]:
    arena = Arena.create(capacity=16 << 20, slots=16)
    held = arena.array(np.arange(1000))
    for _ in range(IN_A_ROW):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if held.sum() == 499_500 and arena.zeros(10).sum() == 0 else 1)
        assert os.waitpid(pid, 0)[1] == 0
        subprocess.run(["true"], check=True)
        subprocess.run(["true"], check=True, preexec_fn=lambda: held.sum() == 499_500 or 1 / 0)
    in_use = len(list(arena.stats().members))
    return in_use, len(arena.objects()), arena.check()


def test_slots_do_not_run_out(nursery: Nursery) -> None:
    """300 children in 13 slots; nobody calls reap() meanwhile."""
    assert nursery.run(fork_in_a_row) == (1, 1, [])


def work(arena: Arena, done: threading.Event, faults: list[str]) -> None:
    """Take and drop references, of objects of others and of one's own."""
    try:
        while not done.is_set():
            shared = arena["shared"]
            view = shared[10:]
            own = arena.array(view)
            pin = arena.alloc(SMALL_BYTES).pin()
            if own.sum() != shared.sum() - 45:
                faults.append("an array has changed")
            pin.close()
    except Exception as error:  # noqa: BLE001 - told to the test
        faults.append(repr(error))


def check_inherited(arena: Arena, kept: Sequence[np.ndarray]) -> int:
    """In a child: everything it has is held for it."""
    free = [arena.zeros(512) for _ in range(20)]  # would overwrite what nobody holds
    for value, found in enumerate(kept):
        if not (found == value).all():
            return 2
    return 0 if sum(int(part.sum()) for part in free) == 0 else 3


def fork_beside_threads() -> tuple[list[int], list[str], list[Any], int]:
    arena = Arena.create(capacity=64 << 20, slots=16)
    arena["shared"] = np.arange(1000)
    kept = [arena.full(1000, value) for value in range(20)]
    done, faults = threading.Event(), list[str]()
    threads = [threading.Thread(target=work, args=(arena, done, faults)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    statuses = []
    for _ in range(FORKS_BESIDE_THREADS):
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)  # a lock that nobody gives up ends in this, not in a hang
            os._exit(check_inherited(arena, kept))
        statuses.append(os.waitpid(pid, 0)[1])
    done.set()
    for thread in threads:
        thread.join()
    left = len(arena.objects()) - len(kept)
    return statuses, faults, arena.check(), left


def test_threads_take_and_drop_references_meanwhile(nursery: Nursery) -> None:
    statuses, faults, found, left = nursery.run(fork_beside_threads)
    assert statuses == [0] * FORKS_BESIDE_THREADS
    assert faults == []
    assert found == []
    assert left == 1  # what is published


ABORT_IN_CHILD = """
    import ctypes, os, faulthandler
    libc = ctypes.CDLL(None)
    abort = ctypes.cast(libc.abort, ctypes.c_void_p)
    # Registered before scamem's, so it runs before scamem's in the child.
    assert libc.__register_atfork(None, None, abort, None) == 0
    import scamem
    arena = scamem.Arena.create(capacity=16 << 20, slots=8)
    held = [arena.alloc(4096) for _ in range(3)]
    pins = [obj.pin() for obj in held]
    before = [info.refcount for info in arena.objects()]
    for _ in range(20):
        pid = os.fork()
        assert pid != 0
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == 6, status
    print(arena.stats().reaped_members, len(arena.stats().members))
    print([info.refcount for info in arena.objects()] == before, arena.check())
"""


def test_child_killed_between_prepare_and_its_handler(nursery: Nursery, tmp_path: Path) -> None:
    """Its records are there, it never became a member."""
    if not hasattr(ctypes.CDLL(None), "__register_atfork"):
        pytest.skip("this C library has no __register_atfork to come before the library's handler")
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ABORT_IN_CHILD)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=operations.no_core_dumps,
    )
    assert (ran.stderr, ran.stdout) == ("", "20 1\nTrue []\n")


def lost_child(touch: Callable[[Arena], object]) -> tuple[str, str, int]:
    """Fork where no slot is left; what the child says, and its line on stderr."""
    arena = Arena.create(capacity=16 << 20, slots=4)  # one member's
    held = arena.alloc(SMALL_BYTES)
    said, told = os.pipe()
    errors_read, errors_write = os.pipe()
    saved = os.dup(2)
    os.dup2(errors_write, 2)
    pid = os.fork()
    if pid == 0:
        text = b"nothing"
        with contextlib.suppress(BaseException):
            try:
                touch(arena)
            except NotAMemberError as error:
                text = str(error).encode()
            held.close()  # does nothing, and does not fail
        os.write(told, text)
        os._exit(0)
    os.dup2(saved, 2)
    os.close(errors_write)
    os.close(told)
    os.waitpid(pid, 0)
    errors = os.fdopen(errors_read).read()
    held.map()
    return os.fdopen(said).read(), errors, arena.objects()[0].refcount


def touch_by_alloc(arena: Arena) -> None:
    arena.alloc(SMALL_BYTES)


def touch_by_reap(arena: Arena) -> None:
    arena.reap()


def touch_by_name(arena: Arena) -> None:
    arena.get("name")


@pytest.mark.parametrize("touch", [touch_by_alloc, touch_by_reap, touch_by_name])
def test_fork_without_a_free_slot(nursery: Nursery, touch: Callable[[Arena], object]) -> None:
    said, errors, refcount = nursery.run(lost_child, touch)
    assert "not a member of the arena of its parent" in said
    assert errors.count("\n") == 1
    assert "inherited will fault if touched" in errors
    assert refcount == 1


def fork_beside_stopped_holder(talk: Talk, path: str) -> None:
    """The lock cannot be had in a second: the child is no member."""
    arena = Arena.join(path)
    arena._seat.member.lock_timeout_s = 0.2
    held = arena.alloc(SMALL_BYTES)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    talk.say("joined")
    talk.hear()
    pid = os.fork()
    if pid == 0:
        try:
            arena.alloc(SMALL_BYTES)
        except NotAMemberError:
            os._exit(0)
        os._exit(1)
    talk.say(os.waitpid(pid, 0)[1])
    talk.hear()
    talk.say(held.refcount)


def test_fork_while_a_stopped_process_has_the_lock(
    stop_nursery: Nursery, nursery: Nursery, place: Path
) -> None:
    arena = Arena.create(str(place / "arena"), capacity=16 << 20, slots=8)
    arena.alloc(SMALL_BYTES).close()
    args = (operations.AllocSmall, arena.path, 20, b"", signal.SIGSTOP)
    with nursery.start(fork_beside_stopped_holder, arena.path) as forking:
        assert forking.hear() == "joined"
        with stop_nursery.start(operations.perform, *args) as holder:
            holder.await_stop()
            forking.say("fork")
            assert forking.hear() == 0
            os.kill(holder.pid, signal.SIGCONT)
            holder.wait()
        forking.say("go on")
        assert forking.hear() == 1
        forking.wait()
    assert arena.objects() == []
    assert arena.check() == []
    arena.close()
