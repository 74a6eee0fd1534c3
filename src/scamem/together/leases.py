"""Leases: items of a queue that a process works on, and that come back if it dies."""

from __future__ import annotations

import contextlib
from typing import Any, Final, Self

from scamem.core.store import layout as L
from scamem.errors import LeaseLostError, ScamemError
from scamem.membership.channel import Channel

NS_PER_S: Final = 1_000_000_000


class Lease:
    """An item that this process works on: it stays in the queue until it is done.

    `queue.get(lease=True)` makes one. As a context manager it is done at a clean end of the block,
    and given back on an exception. If the process dies first, or drops the Lease, the item goes
    back to its place in the queue, for another consumer: an item is delivered at least once.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> jobs = arena.queue()
    >>> jobs.put("a job")
    >>> with jobs.get(lease=True) as lease:
    ...     print(lease.value, lease.attempts)
    a job 1

    Attributes
    ----------
    value : the item; arrays that were copied into the queue are read-only, since another attempt
        may need them. Raises what unpickling raised.
    attempts : how often the item has been leased, this time included.

    Threads: any one of them may finish it. fork: the child has no lease; its `done` raises.
    """

    __slots__ = ("_channel", "_error", "_item", "_open", "_ticket", "_value", "attempts")

    def __init__(
        self, channel: Channel, found: tuple[int, int, int, Any, Exception | None]
    ) -> None:
        self._channel = channel
        self._item, self._ticket, self.attempts, self._value, self._error = found
        self._open = True

    @property
    def value(self) -> Any:
        """The item."""
        if self._error is not None:
            raise self._error
        return self._value

    def done(self) -> None:
        """Say that the work is done: the item leaves the queue.

        Raises
        ------
        LeaseLostError : the lease ended by its `lease_timeout`, was finished or given back before,
            or is the parent's. If it ended, another consumer may be doing the work again.
        """
        self._finish(self._channel.done)

    def give_back(self) -> None:
        """Put the item back to its place in the queue, for any consumer. Raises: as `done`."""
        self._finish(self._channel.give_back)

    def _finish(self, way: Any) -> None:
        was_open, self._open = self._open, False
        if not was_open or way(self._item, self._ticket, self.attempts) != L.OK:
            raise LeaseLostError(
                f"asked to finish a lease (attempt {self.attempts} of its item) that this process "
                "does not have: it was finished already, ended by its lease_timeout, or belongs to "
                "the process that this one was forked from. Another consumer may have the item",
                attempts=self.attempts,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if self._open:
            if kind is None:
                self.done()
            else:
                self._give_back_if_held()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self._give_back_if_held()

    def _give_back_if_held(self) -> None:
        self._open = False
        with contextlib.suppress(ScamemError):  # a closed or damaged arena has no leases of ours
            self._channel.give_back(self._item, self._ticket, self.attempts)

    def __repr__(self) -> str:
        return f"<Lease, attempt {self.attempts}{'' if self._open else ', finished'}>"


def lease_time_ns(timeout: float | None) -> int:
    """Return how long a lease lasts, 0 for one that ends with its process.

    Raises
    ------
    ValueError : it is 0, negative or NaN.
    """
    if timeout is None:
        return 0
    if not timeout > 0:
        raise ValueError(f"asked for a lease of {timeout} s; a lease lasts more than 0 s")
    return min(int(timeout * NS_PER_S), L.ALL_ONES >> 1)
