"""scamem: put() copies in; the bytes of a handle travel."""

from __future__ import annotations

import scamem

from . import Bytes, look


class Sends:
    """Holds each handle until it is released."""

    def __init__(self, nbytes: int, count: int) -> None:
        room = (nbytes + 8192) * (count + 1)
        self.arena = scamem.Arena.create(capacity=max(64 << 20, 2 * room))
        self.handles: dict[bytes, scamem.Handle] = {}

    def put(self, array: Bytes) -> bytes:
        """Copy in and lend."""
        handle = self.arena.put(array)
        token = bytes(handle)
        self.handles[token] = handle
        return token

    def release(self, token: bytes) -> None:
        """Drop the sender's reference."""
        del self.handles[token]

    def address(self) -> None:
        """Nothing: a token is enough."""

    def close(self) -> None:
        """Leave the arena."""
        self.handles.clear()
        self.arena.close()


class SendsArrays(Sends):
    """Copies into an array, and sends a handle of that."""

    def put(self, array: Bytes) -> bytes:
        """Copy in and lend."""
        handle = scamem.handle(self.arena.array(array))
        token = bytes(handle)
        self.handles[token] = handle
        return token


class Receives:
    """Loads with from_handle; the first one joins the arena."""

    def get(self, token: bytes) -> int:
        """Load, read, release."""
        return look(scamem.from_handle(token))

    def close(self) -> None:
        """Nothing: a member leaves when its process ends."""


def make_sender(nbytes: int, count: int) -> Sends:
    """Return a sender."""
    return Sends(nbytes, count)


def make_receiver(_: None) -> Receives:
    """Return a receiver."""
    return Receives()
