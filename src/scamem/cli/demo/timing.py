"""The same work with the columns sent in several ways, one after the other, all of them warm.

Every way begins with ordinary arrays in this process and ends with the answer in it. What is "there
already" was copied in before the clock started, as data is that was made in place.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise

from scamem.arena import Arena

from .crew import Crew
from .segments import Segment, room_bytes
from .summary import Summary
from .table import Table
from .worker import Column, Done, Task

ROUNDS = 5
ROUNDS_UNTIMED = 1
SEGMENTS_ROOM = 2  # columns are in segments twice at once: those there already, and new ones

# Gives what a worker takes some rows of a column from, by the column's name.
Take = Callable[[str, slice], Column]
# A way to send columns; what it gives is good while its context is open.
Way = Callable[[Table], AbstractContextManager[Take]]


@dataclass(frozen=True)
class Timing:
    """How long one way took.

    Attributes
    ----------
    seconds : median of the rounds.
    task_bytes : that travelled through a pipe for each task, on average.
    """

    name: str
    seconds: float
    task_bytes: int


def make_task(table: Table, number: int, rows: slice, take: Take, *, report: bool = False) -> Task:
    """Return the task to summarize some rows."""
    return Task(
        number,
        [take(key.name, rows) for key in table.keys],
        [take(name, rows) for name in table.values],
        tuple(key.low for key in table.keys),
        tuple(key.count for key in table.keys),
        report,
    )


def shares(rows: int, count: int) -> list[slice]:
    """Divide rows into at most `count` shares of about the same size; none is empty."""
    bounds = [rows * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(bounds) if a < b]


@contextmanager
def by_value(table: Table) -> Iterator[Take]:
    """Columns are pickled and travel through the pipes."""
    yield lambda name, rows: table.columns[name][rows]


@contextmanager
def by_segments(table: Table) -> Iterator[Take]:
    """Columns are copied into segments of multiprocessing.shared_memory."""
    with ExitStack() as stack:
        made = {}
        for name in table.needed:
            made[name] = Segment(table.columns[name])
            stack.callback(made[name].remove)
        yield lambda name, rows: made[name].rows(rows)


def by_handle(arena: Arena) -> Way:
    """Columns are copied into an arena."""

    @contextmanager
    def way(table: Table) -> Iterator[Take]:
        made = {name: arena.array(table.columns[name]) for name in table.needed}
        yield lambda name, rows: made[name][rows]
        made.clear()

    return way


def compare(arena: Arena, crew: Crew, table: Table) -> tuple[list[Timing], str]:
    """Time every way, in turns; return the timings, and why one is missing."""
    with ExitStack() as stack:
        ways: dict[str, Way] = {"pickled through a pipe": by_value}
        ways["scamem, copied in"] = by_handle(arena)
        ways["scamem, there already"] = _already(stack, by_handle(arena), table)
        missing = _no_room_for_segments(table)
        if not missing:
            ways["shared_memory, copied in"] = by_segments
            ways["shared_memory, there already"] = _already(stack, by_segments, table)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        sent = dict.fromkeys(ways, 0)
        for turn in range(ROUNDS_UNTIMED + ROUNDS):
            for name, way in ways.items():
                start = time.perf_counter()
                sent[name] = _round(crew, table, way)
                if turn >= ROUNDS_UNTIMED:
                    seconds[name].append(time.perf_counter() - start)
        count = len(shares(table.rows, len(crew.workers)))
        order = sorted(ways, key=lambda name: -statistics.median(seconds[name]))
        timings = [
            Timing(name, statistics.median(seconds[name]), sent[name] // count) for name in order
        ]
    return timings, missing


def _no_room_for_segments(table: Table) -> str:
    wanted = SEGMENTS_ROOM * sum(table.columns[name].nbytes for name in table.needed)
    room = room_bytes()
    if wanted <= room:
        return ""
    return f"shared_memory: not measured; it needs {wanted:,} bytes of /dev/shm, which has {room:,}"


def _already(stack: ExitStack, way: Way, table: Table) -> Way:
    take: Take = stack.enter_context(way(table))

    @contextmanager
    def there(_table: Table) -> Iterator[Take]:
        yield take

    return there


def _round(crew: Crew, table: Table, way: Way) -> int:
    """Do the work once; return how many bytes travelled to the workers."""
    total = Summary.empty(groups(table), len(table.values))
    with way(table) as take:
        sent = 0
        parts = shares(table.rows, len(crew.workers))
        for number, (worker, rows) in enumerate(zip(crew.workers, parts, strict=False)):
            sent += crew.give(worker, make_task(table, number, rows, take))
        left = len(parts)
        while left:
            for _, said in crew.reports():
                if isinstance(said, Done):
                    total.add(said.summary)
                    left -= 1
    return sent


def groups(table: Table) -> int:
    """Return how many groups there can be."""
    count = 1
    for key in table.keys:
        count *= key.count
    return count
