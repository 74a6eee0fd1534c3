"""I/O on pins, alternated with NumPy and memoryviews: above 1, pins are faster."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np

import scamem

from .harness import Report

FRAME_BYTES = 4096
LARGE_BYTES = 256 << 20
QUICK_BYTES = 4 << 20
SMALL_BYTES = 64 << 10


def lone_frames(arena: scamem.Arena, nbytes: int) -> scamem.Scamem:
    """Return an object of isolated frames. Needs: an empty arena, twice as large."""
    pieces = [arena.alloc(FRAME_BYTES) for _ in range(arena.capacity // FRAME_BYTES)]
    del pieces[::2]
    return arena.alloc(nbytes)


def by_turns(
    report: Report,
    what: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    runs: int,
    note: str,
    loops: int = 1,
) -> None:
    """Measure both alternately; report the relative speed of ours, and its time."""
    times: list[float] = []
    ratios: list[float] = []
    for run in range(runs + 2):
        start = time.perf_counter()
        for _ in range(loops):
            theirs()
        middle = time.perf_counter()
        for _ in range(loops):
            ours()
        end = time.perf_counter()
        if run >= 2:
            times.append((end - middle) / loops)
            ratios.append((middle - start) / (end - middle))
    report.add(f"{what}: speed", ratios, unit="x", note=note)
    report.add(f"{what}: time", times)


def read(report: Report) -> None:
    """Read a file in the page cache: into warm frames, and as a new array."""
    nbytes = QUICK_BYTES if report.quick else LARGE_BYTES
    what = f"{nbytes >> 20} MiB"
    runs = report.runs(11)
    with tempfile.NamedTemporaryFile(buffering=0) as file:
        file.write(np.random.default_rng(0).bytes(nbytes))
        warm = np.zeros(nbytes, np.uint8)

        def readinto() -> None:
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            file.file.readinto(warm)

        with scamem.Arena.create(capacity=nbytes + (64 << 20)) as arena:
            with arena.alloc(nbytes) as obj, obj.pin() as pin:
                by_turns(
                    report,
                    f"{what}, one run",
                    lambda: pin.read_from(file, 0),
                    readinto,
                    runs,
                    "read_from against readinto of a warm NumPy array",
                )
            by_turns(
                report,
                f"{what}, a new array",
                lambda: arena.from_file(file.name),
                lambda: np.fromfile(file.name, np.uint8),
                runs,
                "from_file against np.fromfile",
            )
        with scamem.Arena.create(capacity=2 * nbytes) as arena:
            with lone_frames(arena, nbytes) as obj, obj.pin() as pin:
                by_turns(
                    report,
                    f"{what}, {len(obj.runs):,} runs",
                    lambda: pin.read_from(file, 0),
                    readinto,
                    runs,
                    "read_from against readinto of a warm NumPy array",
                )


def send(report: Report) -> None:
    """Send to a thread through a socket pair: pins, compared with sendall of a memoryview."""
    nbytes = QUICK_BYTES if report.quick else LARGE_BYTES // 4
    runs = report.runs(11)
    for size, loops in ((SMALL_BYTES, report.loops(2000)), (nbytes, 1)):
        for scattered in (False, True):
            with scamem.Arena.create(capacity=max(16 << 20, 2 * size)) as arena:
                obj = lone_frames(arena, size) if scattered else arena.alloc(size)
                one_size(report, obj, size, loops, runs)
                obj.close()


def one_size(report: Report, obj: scamem.Scamem, size: int, loops: int, runs: int) -> None:
    """Measure both ways through one socket pair; a byte answers each message."""
    here, there = socket.socketpair()
    private = memoryview(bytearray(size))
    turns = 2 * (runs + 2) * loops
    with here, there, obj.pin() as pin:

        def receive() -> None:
            into = bytearray(size)
            for _ in range(turns):
                there.recv_into(into, size, socket.MSG_WAITALL)
                there.send(b"x")

        def ours() -> None:
            pin.send(here)
            here.recv(1)

        def theirs() -> None:
            here.sendall(private)
            here.recv(1)

        thread = threading.Thread(target=receive)
        thread.start()
        what = f"{size >> 10:,} KiB, {len(obj.runs):,} runs"
        by_turns(report, what, ours, theirs, runs, "send against sendall", loops)
        thread.join()
