"""The cost of finding a frame's object, node, zone and section."""

from __future__ import annotations

import time

import numpy as np

import scamem

from .harness import Report

FRAMES = 1_000_000
ONE_BY_ONE = 10_000


def lookups(report: Report) -> None:
    """Look up frames singly, and a million at once; report seconds for each frame."""
    arena = scamem.Arena.create(capacity=2 << 30, huge=0)
    held = arena.alloc(1 << 30)
    pfns = np.resize(held.pages, FRAMES)
    one = int(pfns[0])
    for name in ("page_to_section", "page_to_nid", "page_zone", "page_to_object", "page_to_scamem"):
        look = getattr(arena, name)
        singly, at_once = [], []
        for _ in range(report.runs(7)):
            start = time.perf_counter()
            for _ in range(ONE_BY_ONE):
                look(one)
            middle = time.perf_counter()
            look(pfns)
            singly.append((middle - start) / ONE_BY_ONE)
            at_once.append((time.perf_counter() - middle) / FRAMES)
        report.add(f"{name}, one", singly)
        report.add(f"{name}, of {FRAMES:,}", at_once)
    held.close()
    arena.close()
