"""Work without copying, compared with NumPy, which copies."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

import scamem

from .harness import Report
from .partner import process_of

PARTS = 8
MESSAGE_BYTES = 64 << 10


def times(operation: Callable[[], object], runs: int) -> list[float]:
    """Time an operation `runs` times; delete its result outside the measured time."""
    found = []
    operation()
    for _ in range(runs):
        start = time.perf_counter()
        made = operation()
        found.append(time.perf_counter() - start)
        del made
    return found


def concatenate(report: Report) -> None:
    """Join eight arrays: by mapping, and by np.concatenate."""
    for size in (1 << 20,) if report.quick else (1 << 20, 64 << 20, 256 << 20):
        arena = scamem.Arena.create(capacity=4 * size + (64 << 20))
        parts = [arena.full(size // PARTS, 1, np.uint8) for _ in range(PARTS)]
        join_both_ways(report, arena, parts, f"{PARTS} arrays, {size >> 20} MiB in all")
        del parts
        gc.collect()
        arena.close()


def join_both_ways(
    report: Report, arena: scamem.Arena, parts: list[scamem.Array], what: str
) -> None:
    """Join arrays without and with a copy; read a byte of each page of the result."""
    plain = [part.view(np.ndarray) for part in parts]
    into = np.ones(sum(part.nbytes for part in parts), np.uint8)
    runs = report.runs(15)

    def stitched() -> scamem.Array:
        return arena.concatenate(parts, copy=False)

    def copied() -> np.ndarray:
        return np.concatenate(plain)

    report.add(what, times(stitched, runs))
    report.add(what, times(copied, runs), who="np.concatenate")
    report.add(
        what,
        times(lambda: np.concatenate(plain, out=into), runs),
        who="np.concatenate",
        note="into warm memory",
    )
    what += ", and a look at each page"
    report.add(what, times(lambda: int(stitched()[::4096].sum()), runs))
    report.add(what, times(lambda: int(copied()[::4096].sum()), runs), who="np.concatenate")


def private(report: Report) -> None:
    """Make a private version and write one page in a hundred: private view, and copy."""
    size = (1 << 20) if report.quick else (256 << 20)
    arena = scamem.Arena.create(capacity=2 * size + (64 << 20))
    obj = arena.alloc(size)
    values = np.frombuffer(obj.map(), np.uint8).view(scamem.Array)
    values[:] = 1
    what = f"{size >> 20} MiB, every hundredth page written"
    runs = report.runs(15)

    def view() -> object:
        mine = np.frombuffer(obj.map(private=True), np.uint8)
        mine[:: 100 * 4096] = 2
        return mine

    def copy() -> object:
        mine = values.copy()
        mine[:: 100 * 4096] = 2
        return mine

    report.add(what, times(view, runs), note="map(private=True)")
    report.add(what, times(copy, runs), who="np.copy")
    report.add(f"{size >> 20} MiB: snapshot()", times(values.snapshot, runs), note="a copy")
    obj.close()
    arena.close()


def growable(report: Report) -> None:
    """Append blocks of 64 KiB up to 64 MiB; report seconds for each block."""
    size = (1 << 20) if report.quick else (64 << 20)
    block = np.ones(MESSAGE_BYTES // 8)
    blocks = size // MESSAGE_BYTES
    what = f"append a block of 64 KiB, up to {size >> 20} MiB"
    ours, doubling, whole = [], [], []
    for _ in range(report.runs(5)):
        arena = scamem.Arena.create(capacity=2 * size + (64 << 20))
        start = time.perf_counter()
        rows = arena.growable()
        for _ in range(blocks):
            rows.extend(block)
        ours.append((time.perf_counter() - start) / blocks)
        rows.close()
        arena.close()
        start = time.perf_counter()
        array, length = np.empty(len(block)), 0
        for _ in range(blocks):
            if length + len(block) > len(array):
                array = np.concatenate([array[:length], np.empty(length + len(block))])
            array[length : length + len(block)] = block
            length += len(block)
        doubling.append((time.perf_counter() - start) / blocks)
        array = block
        start = time.perf_counter()
        for _ in range(min(blocks, 256) - 1):
            array = np.append(array, block)
        whole.append((time.perf_counter() - start) / min(blocks, 256))
    report.add(what, ours, note="cold frames; readers follow")
    report.add(what, doubling, who="doubling", note="np.concatenate into twice the room")
    report.add(what, whole, who="np.append", note="only up to 16 MiB: it copies all each time")
    arena = scamem.Arena.create(capacity=64 << 20)
    rows = arena.growable(16)
    row = np.ones(16)
    loops = report.loops(50_000)

    def append() -> None:
        for _ in range(loops):
            rows.append(row)

    def look() -> None:
        for _ in range(loops):
            len(rows.array)

    report.add("append a row of 128 bytes", [x / loops for x in times(append, report.runs(5))])
    report.add("array, when nothing grew", [x / loops for x in times(look, report.runs(5))])
    rows.close()
    arena.close()


def swallow_pipe(pipe: Connection) -> None:
    """Receive messages from a pipe until an empty one arrives; answer with their sum."""
    total = 0
    while data := pipe.recv_bytes():
        total += len(data)
    pipe.send(total)


def swallow_ring(pipe: Connection) -> None:
    """Read a ring until it ends; answer with the sum."""
    total = 0
    with pipe.recv() as ring:
        pipe.send(None)
        while data := ring.peek():
            total += len(data)
            ring.consume(len(data))
    pipe.send(total)


def ring(report: Report) -> None:
    """Send messages of 64 KiB through a ring of 1 MiB, and a pipe; report seconds for each."""
    loops = report.loops(5000)
    data = np.ones(MESSAGE_BYTES, np.uint8)
    what = "a message of 64 KiB to another process"
    ours, theirs = [], []
    arena = scamem.Arena.create(capacity=64 << 20)
    for _ in range(report.runs(7)):
        with process_of(swallow_ring) as (_, pipe):
            made = arena.ring(1 << 20)
            pipe.send(made)
            pipe.recv()
            start = time.perf_counter()
            for _ in range(loops):
                made.write(data)
            made.close()
            pipe.recv()
            ours.append((time.perf_counter() - start) / loops)
        with process_of(swallow_pipe) as (_, pipe):
            start = time.perf_counter()
            for _ in range(loops):
                pipe.send_bytes(data)
            pipe.send_bytes(b"")
            pipe.recv()
            theirs.append((time.perf_counter() - start) / loops)
    report.add(what, ours, note="read where it lies (peek)")
    report.add(what, theirs, who="Pipe")
    arena.close()
