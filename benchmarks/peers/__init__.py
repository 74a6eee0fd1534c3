"""Ways to send an array to another process, behind one interface.

A sender copies an array in and returns a token, which travels to the receiver. A receiver gets the
array by its token, reads the first item, and releases it. Then the sender's `release` ends it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


reads_all = False  # in a receiver's process: whether `look` reads every byte


def look(array: Bytes) -> int:
    """Read an array that arrived: its first byte, or all of it."""
    return int(np.bitwise_or.reduce(array.view(np.uint64)) if reads_all else array[0])


class Sender(Protocol):
    """The sending side."""

    def put(self, array: Bytes) -> Any:
        """Copy an array in; return the token."""

    def release(self, token: Any) -> None:
        """Release an array that was put and received."""

    def address(self) -> Any:
        """Return the address that the receiver needs."""

    def close(self) -> None:
        """Remove everything."""


class Receiver(Protocol):
    """The receiving side."""

    def get(self, token: Any) -> int:
        """Get an array, `look` at it, release it."""

    def close(self) -> None:
        """Close this side."""


@dataclass(frozen=True)
class Peer:
    """One way: `module` has sender(nbytes, count) and receiver(address)."""

    name: str
    module: str
    package: str = ""
    note: str = ""

    def reason_missing(self) -> str:
        """Return why it cannot be measured here; "" if it can."""
        if not self.package:
            return ""
        try:
            importlib.import_module(self.package)
        except ImportError as error:
            return f"not installed here ({error})"
        return ""

    def sender(self, nbytes: int, count: int) -> Sender:
        """Return a sender of arrays of `nbytes`, up to `count` at a time."""
        make: Callable[[int, int], Sender] = importlib.import_module(self.module).make_sender
        return make(nbytes, count)

    def receiver(self, address: Any) -> Receiver:
        """Return the receiver for a sender's address."""
        make: Callable[[Any], Receiver] = importlib.import_module(self.module).make_receiver
        return make(address)


PEERS = (
    Peer("scamem", "benchmarks.peers.ours"),
    Peer("pool of segments", "benchmarks.peers.pool", note="counts no references"),
    Peer("LMDB", "benchmarks.peers.database", "lmdb", "on /dev/shm, no sync"),
    Peer("iceoryx2", "benchmarks.peers.iceoryx", "iceoryx2", "fixed-size samples"),
    Peer("SharedMemory", "benchmarks.peers.segments"),
    Peer("pickle", "benchmarks.peers.pickles", note="the data itself travels"),
)
NOT_HERE = (
    (
        "Ray",
        "not measured: a wheel of 79 MB that starts servers; the design saw 900 us for 4 KiB",
    ),
)
