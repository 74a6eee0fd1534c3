"""Conditions between processes: wait until another one notifies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from scamem.core.store import layout as L
from scamem.core.sync import places as P
from scamem.errors import OwnerDiedError
from scamem.membership.seat import Seat
from scamem.membership.waiting import Deadline
from scamem.objects.scamem import Scamem

from .locks import LONGEST_NAP_S, RAISE, Lock, RLock, Synchronizer, kind_word
from .primitives import Primitive, Turns, Watch

Result = TypeVar("Result")


class OwnLock(RLock):
    """The lock of a condition that was made without one: it lies in the condition's own frames."""

    magic = kind_word("cond")
    what = "condition"
    words_count = P.TABLE_WORDS


class Condition(Synchronizer):
    """A condition that threads of any processes wait for, as `threading.Condition`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> changed = arena.condition()
    >>> with changed:
    ...     changed.notify_all()

    `arena.condition(lock, name)` makes one, or opens the one that has this name. Without a lock it
    has a reentrant one of its own. All processes must give the same lock.

    A process that dies takes no notification with it: one that it got and had not yet acted on goes
    to another waiter. If the holder of the lock dies, the next one that gets the lock, in `acquire`
    or at the end of `wait`, **holds it** and gets OwnerDiedError (see `Lock`).

    Parameters
    ----------
    obj : the Scamem of a condition; ScamemError for another object.
    lock : a Lock or RLock of this arena; None: the condition's own.

    Attributes
    ----------
    lock : the lock, whose `acquire`, `release` and `locked` are the condition's too.

    Threads: any. fork: the child holds nothing.
    """

    magic = kind_word("cond")
    what = "condition"
    words_count = P.TABLE_WORDS

    def __init__(self, obj: Scamem, lock: Lock | None = None, on_owner_death: str = RAISE) -> None:
        self._sleepers = Turns()
        self._has_own = lock is None
        super().__init__(obj)
        self.lock = lock or OwnLock(Scamem(obj.seat, obj.hold.another(L.BY_HAND)), on_owner_death)
        self._on_owner_death = on_owner_death
        self.acquire = self.lock.acquire
        self.release = self.lock.release
        self.locked = self.lock.locked

    @classmethod
    def create(cls, seat: Seat, lock: Lock | None, on_owner_death: str) -> Condition:
        """Create one; see Arena.condition."""
        return cls(cls._allocate(seat), lock, on_owner_death)

    def _core(self) -> Primitive:
        return self._sleepers

    @property
    def recovered(self) -> bool:
        """Whether the lock's last acquire took it over from a dead process."""
        return bool(self.lock.recovered)

    def __enter__(self) -> bool:  # type: ignore[override]  # as threading: not the object
        return self.lock.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.lock.release()

    def _check_held(self, doing: str) -> None:
        if not self.lock.is_owned():
            raise RuntimeError(
                f"asked to {doing} a condition whose lock this thread does not hold; acquire it "
                "first: with condition: ..."
            )

    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait for a notification, and take the lock again.

        Parameters
        ----------
        timeout : seconds to wait; None: without an end. Taking the lock again is not counted.

        Returns
        -------
        bool : False if no notification came in time.

        Raises
        ------
        RuntimeError : this thread does not hold the lock.
        OwnerDiedError : the lock's last holder died with it; this thread holds it now.
        """
        self._check_held("wait for")
        deadline = Deadline(timeout)
        watch = Watch()
        while self._sleepers.sleep(watch) == L.BUSY:
            self._sleepers.nap(watch, LONGEST_NAP_S)
        depth = self.lock.let_go()
        done = False
        died: OwnerDiedError | None = None
        try:
            self._sleep(watch, deadline)
            done = True
        finally:
            try:
                self.lock.acquire()
            except OwnerDiedError as error:
                died = error
            self.lock.set_depth(depth)
            notified = self._finish(watch, not done)
        if died is not None:
            raise died
        return notified

    def _sleep(self, watch: Watch, deadline: Deadline) -> None:
        """Nap until notified, or until the deadline; see to sleepers that died."""
        for nap_s in deadline.slices(LONGEST_NAP_S):
            if self._sleepers.is_notified(watch):
                return
            self._sleepers.nap(watch, nap_s)
            if nap_s and not self._sleepers.is_notified(watch):
                self._sleepers.tend(Watch(1))

    def _finish(self, watch: Watch, handing: bool) -> bool:
        """Remove this wait's entry; return whether it was notified."""
        while (status := self._sleepers.finish(watch, handing)) == L.BUSY:
            self._sleepers.nap(watch, LONGEST_NAP_S)
        return status == L.OK

    def wait_for(self, predicate: Callable[[], Result], timeout: float | None = None) -> Result:
        """Wait until `predicate()` is true; return its last value. The lock is held; see `wait`."""
        deadline = Deadline(timeout)
        while not (found := predicate()):
            if deadline.is_over():
                break
            left_s = deadline.left_s()
            self.wait(None if deadline.timeout is None else left_s)
        return found

    def notify(self, n: int = 1) -> None:
        """Wake `n` waiters, those first that have waited longest; RuntimeError without the lock."""
        self._check_held("notify")
        self._repeat(lambda watch: self._sleepers.notify_some(watch, max(0, n)))

    def notify_all(self) -> None:
        """Wake all that wait; RuntimeError without the lock."""
        self.notify(P.ENTRIES_MAX)

    def _further(self) -> tuple[Any, ...]:
        return (None if self._has_own else self.lock, self._on_owner_death)

    def _end(self) -> None:
        if self._has_own:
            self.lock.close()
