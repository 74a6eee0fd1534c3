"""A pool of places in one segment that is made once: what people write by hand for speed.

Nobody counts references; a place is free when its sender says so.
"""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory

import numpy as np

from . import Bytes


class Sends:
    """A free list of places, each with its array made beforehand."""

    def __init__(self, nbytes: int, count: int) -> None:
        self.nbytes = nbytes
        self.memory = SharedMemory(create=True, size=nbytes * (count + 1))
        self.places = places_of(self.memory, nbytes, count + 1)
        self.free = list(range(count + 1))
        for place in self.places:
            place.fill(0)  # warm, as a pool in steady state is

    def put(self, array: Bytes) -> int:
        """Copy into a free place."""
        index = self.free.pop()
        np.copyto(self.places[index], array)
        return index

    def release(self, token: int) -> None:
        """Make the place free."""
        self.free.append(token)

    def address(self) -> tuple[str, int, int]:
        """Return the segment and its places."""
        return self.memory.name, self.nbytes, len(self.places)

    def close(self) -> None:
        """Remove the segment."""
        self.places.clear()
        self.memory.close()
        self.memory.unlink()


class Receives:
    """Opens the segment once."""

    def __init__(self, address: tuple[str, int, int]) -> None:
        name, self.nbytes, _ = address
        self.memory = SharedMemory(name)

    def get(self, token: int) -> int:
        """Make an array over the place, look, let go."""
        found: Bytes = np.ndarray((self.nbytes,), np.uint8, self.memory.buf, token * self.nbytes)
        return int(found[0])

    def close(self) -> None:
        """Close the segment."""
        self.memory.close()


def places_of(memory: SharedMemory, nbytes: int, count: int) -> list[Bytes]:
    """Return an array over each place."""
    return [np.ndarray((nbytes,), np.uint8, memory.buf, k * nbytes) for k in range(count)]


def make_sender(nbytes: int, count: int) -> Sends:
    """Return a sender."""
    return Sends(nbytes, count)


def make_receiver(address: tuple[str, int, int]) -> Receives:
    """Return a receiver."""
    return Receives(address)
