"""One segment of multiprocessing.shared_memory for each array."""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory

import numpy as np

from . import Bytes, look


class Sends:
    """Makes a new segment each time, as in Python's documentation."""

    def __init__(self) -> None:
        self.segments: dict[str, SharedMemory] = {}

    def put(self, array: Bytes) -> tuple[str, int]:
        """Make a segment, and copy into it."""
        memory = SharedMemory(create=True, size=array.nbytes)
        view: Bytes = np.ndarray(array.shape, np.uint8, memory.buf)
        np.copyto(view, array)
        self.segments[memory.name] = memory
        return memory.name, array.nbytes

    def release(self, token: tuple[str, int]) -> None:
        """Remove the segment."""
        memory = self.segments.pop(token[0])
        memory.close()
        memory.unlink()

    def address(self) -> None:
        """Nothing: a token is enough."""

    def close(self) -> None:
        """Remove the remaining segments."""
        for memory in self.segments.values():
            memory.close()
            memory.unlink()


class Receives:
    """Opens each segment."""

    def get(self, token: tuple[str, int]) -> int:
        """Open, read, close."""
        memory = SharedMemory(token[0])
        view: Bytes = np.ndarray((token[1],), np.uint8, memory.buf)
        found = look(view)
        del view
        memory.close()
        return found

    def close(self) -> None:
        """Nothing to do."""


def make_sender(_nbytes: int, _count: int) -> Sends:
    """Return a sender."""
    return Sends()


def make_receiver(_: None) -> Receives:
    """Return a receiver."""
    return Receives()
