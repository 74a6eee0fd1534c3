"""The cost of mapping a view of many runs."""

from __future__ import annotations

import time

import scamem

from .harness import Report

RUN_FRAMES = 16
FRAME_BYTES = 4096


def vmap(report: Report) -> None:
    """Map and unmap objects of many runs of 64 KiB; report seconds for each run."""
    for runs in (100,) if report.quick else (100, 1000, 8000):
        arena = scamem.Arena.create(capacity=2 * runs * RUN_FRAMES * FRAME_BYTES)
        pieces = [arena.alloc(RUN_FRAMES * FRAME_BYTES) for _ in range(2 * runs)]
        del pieces[::2]
        start = time.perf_counter()
        whole = arena.alloc(runs * RUN_FRAMES * FRAME_BYTES)
        made_s = time.perf_counter() - start
        found = len(whole.runs)
        mapped, unmapped = [], []
        for _ in range(report.runs(11)):
            start = time.perf_counter()
            view = whole.map()
            middle = time.perf_counter()
            del view
            mapped.append((middle - start) / found)
            unmapped.append((time.perf_counter() - middle) / found)
        report.add(f"{found:,} runs: allocate, a run", [made_s / found])
        report.add(f"{found:,} runs: map, a run", mapped, note="the design saw 2.4 to 3.6 us")
        report.add(f"{found:,} runs: unmap, a run", unmapped, note="the design saw up to 1.5 us")
        whole.close()
        pieces.clear()
        arena.close()
