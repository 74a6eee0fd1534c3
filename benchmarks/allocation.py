"""Allocating, freeing and pinning in one process."""

from __future__ import annotations

import functools
import random

import scamem
from scamem.core.store import layout as L

from .compiled import core_loop
from .harness import Report, Timing, measure

FRAME_BYTES = 4096
GIBIBYTE = 1 << 30
PIECES = 20_000
CORE_S = 0.5e-6
PYTHON_S = 2e-6
FRAME_S = 1e-9
PIN_S = 0.3e-6


def alloc_free(report: Report) -> None:
    """Measure one frame at three capacities and three fill levels, in the core and from Python.

    All sections are online, without memory (core_loop.bring_online). To fill an arena, it is cut
    into PIECES objects of random sizes, and a random part of them is freed.
    """
    capacities = [GIBIBYTE] if report.quick else [GIBIBYTE, 64 * GIBIBYTE, 1024 * GIBIBYTE]
    for capacity in capacities:
        arena = scamem.Arena.create(capacity=capacity)
        core_loop().bring_online(arena._seat.member)
        taken: list[int] = []
        for fill in (0, 50, 90):
            if fill:
                taken = refill(arena, taken, fill, 1000 if report.quick else PIECES)
            what = f"{capacity // GIBIBYTE:,} GiB, {fill} % full"
            add_pair(report, arena, what)
        for obj in taken:
            core_loop().give(arena._seat.member, obj)
        arena.close()


def refill(arena: scamem.Arena, taken: list[int], fill: int, pieces: int) -> list[int]:
    """Cut all frames into objects of random sizes, then free all but `fill` %; return the rest."""
    loop = core_loop()
    member = arena._seat.member
    for obj in taken:
        loop.give(member, obj)
    frames = int(member.read_word(L.ZONES + L.ZONE_FREE))
    for table in (L.TABLE_OBJECTS, L.TABLE_HOLDERS, L.TABLE_RUNS):
        member.extend_table(table, 3 * pieces)
    chance = random.Random(1)
    made = []
    most = max(1, 2 * frames // pieces - 1)
    left = frames
    while left:
        size = min(left, chance.randint(1, most))
        made.append(loop.take(member, size))
        left -= size
    chance.shuffle(made)
    keep = len(made) * fill // 100
    for obj in made[keep:]:
        loop.give(member, obj)
    return made[:keep]


def add_pair(report: Report, arena: scamem.Arena, what: str) -> None:
    """Measure allocating and freeing one frame, in the core alone and from Python."""
    loops = report.loops(20_000)
    runs = report.runs(31)
    arena.alloc(1).close()  # tables have records now
    core = measure(functools.partial(core_loop().alloc_free, arena._seat.member, 1), loops, runs)
    report.add(f"core: {what}", core, budget=CORE_S + FRAME_S)
    report.add(f"Python: {what}", alloc_times(arena, 1, loops, runs), budget=PYTHON_S + FRAME_S)


def alloc_times(arena: scamem.Arena, frames: int, loops: int, runs: int) -> Timing:
    """Return the seconds that arena.alloc() and deleting its result take."""
    nbytes = frames * FRAME_BYTES

    def operation(count: int) -> None:
        alloc = arena.alloc
        for _ in range(count):
            alloc(nbytes)

    return measure(operation, loops, runs)


def by_size(report: Report) -> None:
    """Measure sizes from one frame to 1 GiB, from Python: a memdesc costs a nanosecond a frame.

    The arena keeps all free memory, so returning a GiB to the system is not part of the figures.
    """
    arena = scamem.Arena.create(capacity=2 * GIBIBYTE)
    arena.retention = 2 * GIBIBYTE
    core_loop().bring_online(arena._seat.member)
    sizes = (1, 16, 64) if report.quick else (1, 16, 64, 65, 512, 16_384, 262_144)
    for frames in sizes:
        loops = report.loops(max(1, 20_000 // (1 + frames // 64)))
        report.add(
            f"{frames:,} frame{'s' if frames > 1 else ''}",
            alloc_times(arena, frames, loops, report.runs(31)),
            budget=PYTHON_S + frames * FRAME_S,
        )
    arena.close()


def pin(report: Report) -> None:
    """Pin and unpin whole objects of several sizes."""
    arena = scamem.Arena.create(capacity=2 * GIBIBYTE)
    core_loop().bring_online(arena._seat.member)
    loops = report.loops(50_000)
    for frames in (1, 256) if report.quick else (1, 256, 65_536, 262_144):
        obj = arena.alloc(frames * FRAME_BYTES)

        def by_pin(count: int, obj: scamem.Scamem = obj) -> None:
            take = obj.pin
            for _ in range(count):
                take()

        core = functools.partial(core_loop().pin_unpin, arena._seat.member, obj.index)
        report.add(f"core: {frames:,} frames", measure(core, loops, report.runs(31)), budget=PIN_S)
        report.add(
            f"Python: {frames:,} frames", measure(by_pin, loops, report.runs(31)), budget=PIN_S
        )
        obj.close()
    arena.close()
