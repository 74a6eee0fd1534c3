"""LMDB on /dev/shm: a write transaction to put, a read transaction to read without a copy."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from typing import Any

import lmdb
import numpy as np

from . import Bytes, look

PLACE = "/dev/shm"


def open_at(path: str, room_bytes: int) -> Any:
    """Open an environment without sync, for speed."""
    return lmdb.open(
        path, map_size=room_bytes, sync=False, metasync=False, writemap=True, map_async=True
    )


class Sends:
    """Stores each array under a key."""

    def __init__(self, nbytes: int, count: int) -> None:
        self.path = tempfile.mkdtemp(prefix="scamem-bench-", dir=PLACE)
        self.room_bytes = max(64 << 20, 4 * (nbytes + 8192) * (count + 1))
        self.environment = open_at(self.path, self.room_bytes)
        self.numbers = itertools.count()

    def put(self, array: Bytes) -> bytes:
        """Store under a new key."""
        key = next(self.numbers).to_bytes(8, "big")
        with self.environment.begin(write=True) as transaction:
            transaction.put(key, array.data)
        return key

    def release(self, token: bytes) -> None:
        """Delete the key."""
        with self.environment.begin(write=True) as transaction:
            transaction.delete(token)

    def address(self) -> tuple[str, int]:
        """Return where the environment is."""
        return self.path, self.room_bytes

    def close(self) -> None:
        """Remove the files."""
        self.environment.close()
        shutil.rmtree(self.path)


class Receives:
    """Reads values in place."""

    def __init__(self, address: tuple[str, int], environment: Any = None) -> None:
        self.own = environment is None
        self.environment = open_at(*address) if environment is None else environment

    def get(self, token: bytes) -> int:
        """Read in a transaction."""
        with self.environment.begin(buffers=True) as transaction:
            return look(np.frombuffer(transaction.get(token), np.uint8))

    def close(self) -> None:
        """Close this process's environment."""
        if self.own:
            self.environment.close()


_senders: dict[str, Sends] = {}


def make_sender(nbytes: int, count: int) -> Sends:
    """Return a sender."""
    made = Sends(nbytes, count)
    _senders[made.path] = made
    return made


def make_receiver(address: tuple[str, int]) -> Receives:
    """Return a receiver; in the sender's process it shares the environment, as LMDB requires."""
    sender = _senders.get(address[0])
    return Receives(address, sender.environment if sender is not None else None)
