"""A dataset of 1,000,000 dicts in 4 workers: memory of all processes, time to the first item."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import scamem

from .harness import Report, measure

ROWS = 1_000_000
QUICK_ROWS = 2_000
WORKERS = 4
BATCH = 1000
METHODS = ("spawn", "forkserver")
Rows = Sequence[Any]


def rows_of(count: int) -> Iterator[dict[str, Any]]:
    """Yield the dicts: a float, an int and a short string each."""
    for number in range(count):
        yield {"x": number * 0.5, "n": number, "label": f"item {number}"}


def pss_bytes() -> int:
    """Return this process's share of the memory that it has mapped."""
    with open("/proc/self/smaps_rollup") as file:
        found = re.search(r"^Pss:\s+(\d+)", file.read(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def work(pipe: Connection, what: Any, load: Callable[[Any], Rows]) -> None:
    """Open the dataset, read an item, then all of them; say when, and how much memory it took."""
    data = load(what)
    first = data[len(data) // 2]["x"]
    pipe.send((time.monotonic(), first))
    total = sum(row["n"] for row in data)
    pipe.send(total)
    pipe.recv()  # all workers have read it all
    pipe.send(pss_bytes())
    pipe.recv()


def as_it_is(what: Any) -> Rows:
    """Return what the worker got as its argument."""
    data: Rows = what
    return data


def from_pickle(path: str) -> Rows:
    """Return what a file has."""
    with open(path, "rb") as file:
        data: Rows = pickle.load(file)
    return data


def in_workers(
    method: str, what: Any, load: Callable[[Any], Rows], parents: int = 1
) -> tuple[float, int]:
    """Return the seconds until all workers have an item, and the bytes of all processes.

    `parents` : 0 if this process needs nothing of the data.
    """
    context: Any = multiprocessing.get_context(method)
    pipes = [context.Pipe() for _ in range(WORKERS)]
    start = time.monotonic()
    workers = [context.Process(target=work, args=(theirs, what, load)) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    ours = [mine for mine, _ in pipes]
    seconds = max(pipe.recv()[0] for pipe in ours) - start
    for pipe in ours:
        pipe.recv()
    for pipe in ours:
        pipe.send("measure")
    nbytes = sum(pipe.recv() for pipe in ours) + parents * pss_bytes()
    for pipe in ours:
        pipe.send("end")
    for worker in workers:
        worker.join()
    return seconds, nbytes


def dataset(report: Report) -> None:
    """Compare frozen rows with plain ones that workers get, and with a pickle that each loads."""
    count = QUICK_ROWS if report.quick else ROWS
    what = f"{count:,} dicts, {WORKERS} workers"
    start = time.monotonic()
    frozen = scamem.freeze(rows_of(count))
    report.add("freeze, from an iterator", [time.monotonic() - start])
    for method in METHODS:
        add(report, f"{what}, {method}", "scamem", in_workers(method, frozen, as_it_is))
    index(report, frozen, "scamem")
    del frozen  # the others' processes do not count what is mapped of it
    plain = list(rows_of(count))
    start = time.monotonic()
    scamem.freeze(plain)
    report.add("freeze, from a list", [time.monotonic() - start])
    index(report, plain, "list")
    path = "/dev/shm/scamem-benchmark.pickle"
    with open(path, "wb") as file:
        pickle.dump(plain, file, 5)
    for method in METHODS:
        add(report, f"{what}, {method}", "list", in_workers(method, plain, as_it_is))
    del plain
    for method in METHODS:
        add(report, f"{what}, {method}", "pickle", in_workers(method, path, from_pickle, 0))
    os.unlink(path)


def add(report: Report, what: str, who: str, found: tuple[float, int]) -> None:
    """Report what workers took."""
    report.add(f"{what}: to the first item", [found[0]], who=who)
    report.add(f"{what}: PSS of all processes", [float(found[1])], who=who, unit="bytes")


def index(report: Report, data: Rows, who: str) -> None:
    """Report what it costs to look at random items, and at a field of each."""
    chosen = [random.Random(1).randrange(len(data)) for _ in range(BATCH)]

    def items(loops: int) -> None:
        for _ in range(loops):
            for number in chosen:
                data[number]

    def fields(loops: int) -> None:
        for _ in range(loops):
            for number in chosen:
                data[number]["x"]

    runs, loops = report.runs(9), report.loops(50)
    for what, operation in (("an item at random", items), ("a field of an item at random", fields)):
        timing = measure(operation, loops, runs)
        report.add(what, [seconds / BATCH for seconds in timing.wall], who=who)
