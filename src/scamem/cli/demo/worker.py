"""The far end of a pipe: a process that does tasks until the pipe ends.

Its module imports NumPy and scamem alone, so that a spawned worker begins fast.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from numpy.typing import NDArray

from .segments import SegmentColumn, opened
from .summary import Summary, summarize

Column = NDArray[Any] | SegmentColumn


@dataclass
class Task:
    """Some rows of the table, to be summarized.

    Attributes
    ----------
    keys, values : the columns' rows: arrays on scattered memory (sent by handle), plain arrays
        (sent by value), or places in segments of multiprocessing.shared_memory.
    lows, counts : of each key; see `summarize`.
    report : whether to say when half of the work is done, and to wait for a word to go on.
    """

    number: int
    keys: list[Column]
    values: list[Column]
    lows: tuple[int, ...]
    counts: tuple[int, ...]
    report: bool = False


@dataclass(frozen=True)
class Half:
    """A worker is in the middle of a task and holds its columns; it goes on when told so."""

    number: int
    rows: int


@dataclass(frozen=True)
class Done:
    """A task's answer; the worker holds nothing of it any more."""

    number: int
    summary: Summary


def run(pipe: Connection) -> None:
    """Do tasks from a pipe until None comes or the other end is gone."""
    with contextlib.suppress(EOFError, ConnectionError):  # the parent died: so may we
        task = pipe.recv()
        while task is not None:
            done = do(task, pipe)
            task = None  # its arrays go, and their references with them, before the answer
            pipe.send(done)
            del done
            task = pipe.recv()


def do(task: Task, pipe: Connection) -> Done:
    """Do one task; where it is to be reported, stop in the middle until a word comes."""
    with opened(task.keys) as keys, opened(task.values) as values:
        rows = len(keys[0])
        half = -(-rows // 2) if task.report else 0  # 1 of 1: it is at work
        total = _part(task, keys, values, slice(0, half))
        if task.report:
            pipe.send(Half(task.number, half))
            pipe.recv()
        total.add(_part(task, keys, values, slice(half, rows)))
    return Done(task.number, total)


def _part(task: Task, keys: list[NDArray[Any]], values: list[NDArray[Any]], rows: slice) -> Summary:
    return summarize(
        [key[rows] for key in keys], task.lows, task.counts, [value[rows] for value in values]
    )
