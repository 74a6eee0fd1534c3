"""Columns in segments of `multiprocessing.shared_memory`, for comparison.

A segment's name says whose it is, so that a demo that was killed leaves nothing: the next one
removes what belongs to no living process.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREFIX = "scamem-demo-"
PLACE = Path("/dev/shm")  # where the C library's shm_open has its segments, on Linux


@dataclass(frozen=True)
class SegmentColumn:
    """Rows of a column in a segment: what a worker needs to open it."""

    name: str
    dtype: str
    start: int
    rows: int


class Segment:
    """A column in a segment of its own. Ownership: whoever made it removes it, by `remove`."""

    def __init__(self, column: NDArray[Any]) -> None:
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._memory = SharedMemory(name, create=True, size=max(1, column.nbytes))
        self._dtype = column.dtype.str
        view: NDArray[Any] = np.ndarray(column.shape, column.dtype, buffer=self._memory.buf)
        np.copyto(view, column)

    def rows(self, rows: slice) -> SegmentColumn:
        """Return what opens some rows."""
        return SegmentColumn(self._memory.name, self._dtype, rows.start, rows.stop - rows.start)

    def remove(self) -> None:
        """Remove the segment."""
        self._memory.close()
        self._memory.unlink()


@contextlib.contextmanager
def opened(columns: Sequence[NDArray[Any] | SegmentColumn]) -> Iterator[list[NDArray[Any]]]:
    """Give columns as plain arrays, wherever they are; the list is emptied at the end."""
    memories = []
    arrays: list[NDArray[Any]] = []
    try:
        for column in columns:
            if isinstance(column, SegmentColumn):
                memory = SharedMemory(column.name)
                memories.append(memory)
                dtype = np.dtype(column.dtype)
                offset = column.start * dtype.itemsize
                arrays.append(np.ndarray((column.rows,), dtype, memory.buf, offset))
            else:
                arrays.append(np.asarray(column))
        yield arrays
    finally:
        arrays.clear()  # a segment with a view on it does not close
        for memory in memories:
            memory.close()


def room_bytes() -> int:
    """Return how many bytes of segments there is memory for; writing beyond it would be SIGBUS."""
    try:
        found = os.statvfs(PLACE)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def sweep() -> int:
    """Remove segments of demos that were killed; return how many."""
    count = 0
    for path in PLACE.glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):  # another user's, or another demo was faster
                path.unlink()
                count += 1
    return count
