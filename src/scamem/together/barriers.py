"""Barriers between processes."""

from __future__ import annotations

from collections.abc import Callable
from threading import BrokenBarrierError
from typing import Any

from scamem.core.store import layout as L
from scamem.core.sync import places as P
from scamem.membership.seat import Seat
from scamem.membership.waiting import Deadline
from scamem.objects.scamem import Scamem

from .locks import Synchronizer, kind_word, slices
from .primitives import Primitive, Turns, Watch

PARTIES_MAX = P.ENTRIES_MAX // 2  # those of one generation may still leave while the next arrive


class Barrier(Synchronizer):
    """A place where a number of threads of any processes wait for each other.

    The interface is that of `threading.Barrier`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> barrier = arena.barrier(1)
    >>> barrier.wait()
    0

    `arena.barrier(parties, name)` makes one, or opens the one that has this name.

    A party that dies while it waits breaks the barrier: all others get BrokenBarrierError at once,
    since it will not come the next time. A party that dies before it arrives is not noticed: give a
    timeout. `reset()` makes the barrier usable again.

    Parameters
    ----------
    obj : the Scamem of a barrier; ScamemError for another object.
    action : called by one party when all have arrived, before any is released. If it raises, the
        barrier is broken.
    timeout : the default of `wait`, in seconds.

    Threads: any. fork: the child has not arrived.
    """

    magic = kind_word("barr")
    what = "barrier"
    words_count = P.TABLE_WORDS

    def __init__(
        self,
        obj: Scamem,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        self._parties = Turns()
        self._action = action
        self._timeout = timeout
        super().__init__(obj)

    @classmethod
    def create(
        cls,
        seat: Seat,
        parties: int,
        action: Callable[[], object] | None,
        timeout: float | None,
    ) -> Barrier:
        """Create one; see Arena.barrier."""
        return cls(cls._allocate(seat, parties), action, timeout)

    def _core(self) -> Primitive:
        return self._parties

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have arrived; return how many had arrived before this one.

        Parameters
        ----------
        timeout : seconds to wait, after which the barrier is broken; None: the barrier's default.

        Raises
        ------
        threading.BrokenBarrierError : it is broken, or was reset: by a death, a timeout, `abort` or
            an action that raised.
        """
        deadline = Deadline(self._timeout if timeout is None else timeout)
        watch = Watch()
        ended = False
        try:
            status = self._wait_out(watch, deadline)
            index = watch.result
            if status == P.LAST:
                if self._action is not None:
                    self._action()
                status = self._with(watch, self._parties.trip)
            ended = status in (L.OK, P.BROKEN)
        finally:
            if not ended:
                self.abort()
                if watch.has_entry:
                    self._with(watch, self._parties.look_at)
        if status != L.OK:
            raise BrokenBarrierError
        return index

    def _wait_out(self, watch: Watch, deadline: Deadline) -> int:
        """Arrive, and nap until the generation ends; return the last status."""
        status: int = L.BUSY
        for nap_s in slices(deadline):
            if watch.has_entry:
                status = self._parties.look_at(watch)
            else:
                status = self._parties.arrive_at(watch)
            if status not in (L.BUSY, P.QUEUED):
                return status
            self._parties.nap(watch, nap_s)
        self.abort()
        return self._with(watch, self._parties.look_at) if watch.has_entry else P.BROKEN

    def _with(self, watch: Watch, look: Callable[[Watch], int]) -> int:
        """Look until the guard is free; return the status."""
        while (status := look(watch)) == L.BUSY:
            self._parties.nap(watch, 1.0)
        return status

    def abort(self) -> None:
        """Break the barrier: all that wait, or come later, get BrokenBarrierError."""
        self._repeat(self._parties.spoil)

    def reset(self) -> None:
        """Make the barrier usable again; parties that wait get BrokenBarrierError."""
        self._repeat(self._parties.renew)

    @property
    def parties(self) -> int:
        """How many parties must arrive."""
        return self._parties.read_word(P.VALUE)

    @property
    def n_waiting(self) -> int:
        """How many parties wait now."""
        watch = Watch()
        return 0 if self._with(watch, self._parties.count_parties) == P.BROKEN else watch.result

    @property
    def broken(self) -> bool:
        """Whether the barrier is broken."""
        return self._with(Watch(), self._parties.count_parties) == P.BROKEN

    def _further(self) -> tuple[Any, ...]:
        return (self._action, self._timeout)
