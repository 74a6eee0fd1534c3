"""scamem.shared_memory against multiprocessing.shared_memory: create, attach, close, unlink."""

from __future__ import annotations

import multiprocessing.shared_memory as original
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import scamem.shared_memory as ours

from .harness import OURS, Report

SIZES = {"4 KiB": 4 << 10, "1 MiB": 1 << 20, "64 MiB": 64 << 20}
WHO = {OURS: ours, "SharedMemory": original}


def segments(report: Report) -> None:
    """Each step alone; and all of them together, with every byte written once."""
    before = os.environ.get("SCAMEM_DIR")
    place = os.environ["SCAMEM_DIR"] = tempfile.mkdtemp(prefix="scamem-bench-", dir="/dev/shm")
    try:
        for size, nbytes in SIZES.items():
            for who, module in WHO.items():
                add(report, size, nbytes, who, module)
    finally:
        if before is None:
            del os.environ["SCAMEM_DIR"]
        else:
            os.environ["SCAMEM_DIR"] = before
        shutil.rmtree(place)


def add(report: Report, size: str, nbytes: int, who: str, module: ModuleType) -> None:
    times: dict[str, list[float]] = {}
    data = bytes(nbytes)
    for run in range(report.runs(200 if nbytes < 1 << 24 else 20) + 3):
        taken = one_round(module, nbytes, data)
        if run >= 3:  # the first ones join the arena, and bring memory online
            for step, seconds in taken.items():
                times.setdefault(step, []).append(seconds)
    for step, values in times.items():
        report.add(f"{size}: {step}", values, who=who)


def one_round(module: ModuleType, nbytes: int, data: bytes) -> dict[str, float]:
    """Create, write, attach, close and unlink a segment once; seconds for each step."""
    taken: dict[str, float] = {}

    def timed(step: str, operation: Callable[[], Any]) -> Any:
        start = time.perf_counter_ns()
        made = operation()
        taken[step] = (time.perf_counter_ns() - start) / 1e9
        return made

    made = timed("create", lambda: module.SharedMemory(create=True, size=nbytes))
    timed("write all", lambda: made.buf.__setitem__(slice(None), data))
    other = timed("attach", lambda: module.SharedMemory(made.name))
    timed("close", other.close)
    timed("close the last", made.close)
    timed("unlink", made.unlink)
    taken["all of it"] = sum(taken.values())
    return taken
