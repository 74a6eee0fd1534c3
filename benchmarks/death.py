"""The cost of reaping a dead member, and of fork's handlers."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection

import scamem
from scamem.core.store import layout as L

from .compiled import core_loop
from .harness import Report
from .partner import process_of

FRAME_BYTES = 4096
REAP_S = 20e-3
HELD = 100_000


def reap(report: Report) -> None:
    """Kill a member that holds many objects, and reap it."""
    held = 1000 if report.quick else HELD
    arena = scamem.Arena.create(capacity=2 * held * FRAME_BYTES + (64 << 20))
    anchor = arena.alloc(1)
    wall = []
    for _ in range(report.runs(7)):
        with process_of(hold_many, bytes(scamem.handle(anchor)), held) as (process, pipe):
            pipe.recv()
            process.kill()
            process.join()
        start = time.perf_counter()
        count = arena.reap()
        wall.append(time.perf_counter() - start)
        if count != 1 or arena.stats().objects != 1:
            raise RuntimeError(f"reaped {count} members; {arena.stats().objects} objects are left")
    each = f"{sorted(wall)[len(wall) // 2] / held * 1e9:.0f} ns an object"
    report.add(f"a dead member of {held:,} objects", wall, budget=REAP_S, note=each)
    anchor.close()
    arena.close()


def hold_many(pipe: Connection, handle: bytes, count: int) -> None:
    """Hold many objects of one frame until killed."""
    anchor = scamem.from_handle(handle)
    arena = anchor.arena
    held = [arena.alloc(FRAME_BYTES) for _ in range(count)]
    anchor.close()
    pipe.send(len(held))
    pipe.recv()


def fork(report: Report) -> None:
    """Measure fork's handlers alone, and a whole fork, with several numbers of objects held."""
    for held, budget in ((0, 25e-6), (1000, None), (32_767, 5e-3)):
        if report.quick and held > 1000:
            continue
        arena = scamem.Arena.create(capacity=(held + 20_000) * FRAME_BYTES)
        objects = [arena.alloc(FRAME_BYTES) for _ in range(held)]
        note = ""
        if not child_is_ready(arena):
            note = "child no member until the records' table was grown by hand"
            arena._seat.member.extend_table(L.TABLE_HOLDERS, 2 * held + 1000)
        prepares, parents, forks = [], [], []
        for _ in range(report.runs(15)):
            prepare_ns, parent_ns = core_loop().fork_handlers(1)[0]
            prepares.append(prepare_ns / 1e9)
            parents.append(parent_ns / 1e9)
            arena.reap()
            forks.append(fork_once())
            arena.reap()
        what = f"{held:,} objects held"
        report.add(f"{what}: prepare", prepares, budget=budget, note=note)
        report.add(f"{what}: handler in the parent", parents)
        report.add(f"{what}: os.fork() of this process", forks)
        objects.clear()
        arena.close()
    forks = [fork_once() for _ in range(report.runs(15))]
    report.add("no arena joined: os.fork() of this process", forks, who="plain")


def child_is_ready(arena: scamem.Arena) -> bool:
    """Run the handlers without a fork; return whether the child would be a member."""
    core_loop().fork_handlers(1)
    arena.reap()
    return bool(arena._seat.member.my_word(L.MINE_CHILD_READY))


def fork_once() -> float:
    """Fork, and return the seconds that it takes in the parent."""
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    taken = time.perf_counter() - start
    os.waitpid(pid, 0)
    return taken
