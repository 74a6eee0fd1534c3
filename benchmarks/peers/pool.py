"""A pool of slots in one segment, as people write it by hand for speed.

It counts no references: a slot is free when its sender says so.
"""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory

import numpy as np

from . import Bytes, look


class Sends:
    """Keeps a free list of slots, each with its array."""

    def __init__(self, nbytes: int, count: int) -> None:
        self.nbytes = nbytes
        self.memory = SharedMemory(create=True, size=nbytes * (count + 1))
        self.places = places_of(self.memory, nbytes, count + 1)
        self.free = list(range(count + 1))
        for place in self.places:
            place.fill(0)  # warm, as a pool in steady state is

    def put(self, array: Bytes) -> int:
        """Copy into a free slot."""
        index = self.free.pop()
        np.copyto(self.places[index], array)
        return index

    def release(self, token: int) -> None:
        """Free the slot."""
        self.free.append(token)

    def address(self) -> tuple[str, int, int]:
        """Return the segment's name and its slots."""
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
        """Make an array over the slot, read it, release it."""
        found: Bytes = np.ndarray((self.nbytes,), np.uint8, self.memory.buf, token * self.nbytes)
        return look(found)

    def close(self) -> None:
        """Close the segment."""
        self.memory.close()


def places_of(memory: SharedMemory, nbytes: int, count: int) -> list[Bytes]:
    """Return an array over each slot."""
    return [np.ndarray((nbytes,), np.uint8, memory.buf, k * nbytes) for k in range(count)]


def make_sender(nbytes: int, count: int) -> Sends:
    """Return a sender."""
    return Sends(nbytes, count)


def make_receiver(address: tuple[str, int, int]) -> Receives:
    """Return a receiver."""
    return Receives(address)
