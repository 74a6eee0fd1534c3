"""Semaphores and read-write locks that survive their holders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from scamem.core.store import layout as L
from scamem.core.sync import places as P
from scamem.membership.seat import Seat
from scamem.membership.waiting import Deadline
from scamem.objects.scamem import Scamem

from .locks import (
    RAISE,
    RECOVER,
    Synchronizer,
    checked_choice,
    deadline_of,
    kind_word,
    slices,
)
from .primitives import Primitive, Turns, Watch

PERMITS_MAX = 0x7FFFFFFF
WAITS = (L.BUSY, P.QUEUED)
TAKEN = (L.OK, P.OWNER_DIED)


class Permits(Synchronizer):
    """What semaphores and read-write locks have in common: permits that members wait for."""

    words_count = P.TABLE_WORDS

    def __init__(self, obj: Scamem) -> None:
        self._turns = Turns()
        self._taken = 0
        super().__init__(obj)

    def _core(self) -> Primitive:
        return self._turns

    def _take(
        self, blocking: bool, timeout: float | None, *, by_thread: bool, writes: bool
    ) -> tuple[int, Watch]:
        """Wait for permits; return the last status, and the watch of the wait."""
        quick = blocking and timeout is None  # if there is room at once, no clock is needed
        watch = Watch()
        status: int = L.BUSY
        try:
            if quick:
                status = self._turns.acquire_permits(watch, by_thread, writes)
            if status in WAITS:
                deadline = deadline_of(blocking, timeout)
                if deadline.is_over():
                    watch = Watch(1)  # no nap comes: ask at once who lives
                status = self._look_and_nap(watch, deadline, by_thread, writes)
        except BaseException:
            if watch.result:  # a signal handler raised after the last look
                self._give_back(writes)
            raise
        finally:
            if watch.has_entry:
                self._withdraw(watch)
        self._taken += status in TAKEN
        return status, watch

    def _look_and_nap(self, watch: Watch, deadline: Deadline, by_thread: bool, writes: bool) -> int:
        """Look and nap until there is room, or the time is over; return the last status."""
        for nap_s in slices(deadline):
            status = self._turns.acquire_permits(watch, by_thread, writes)
            if status not in WAITS:
                return status
            self._turns.nap(watch, nap_s)
        return L.BUSY

    def _give_back(self, writes: bool) -> None:
        """Release what a wait has taken."""
        raise NotImplementedError

    def _withdraw(self, watch: Watch) -> None:
        """Stop waiting: let in those behind, unless a stopped process keeps the guard."""
        turns = self._turns
        if not self._leave_in_order(lambda watch: turns.withdraw(watch, False), watch):
            turns.withdraw(watch, True)

    def _end(self) -> None:
        """Give back what was taken and not released, as a dead process does."""
        if self._taken > 0:
            self._repeat(self._turns.drop_permits)


class Semaphore(Permits):
    """A semaphore between threads of any processes, as `threading.Semaphore`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> permits = arena.semaphore(2)
    >>> with permits:
    ...     permits.value
    1

    `arena.semaphore(value, name, bounded=)` makes one, or opens the one that has this name, with
    the value that it has.

    A permit belongs to the process that acquired it until it is released, by any process. If that
    process dies, or drops its last reference to the semaphore, its permits come back. So use a
    semaphore for things that are taken and given back. A release in a process that has no permit
    gives back a permit of another process; if no process has any, it adds a new one, or raises
    ValueError in a bounded semaphore.

    Waiters get permits in the order in which they came.

    Parameters
    ----------
    obj : the Scamem of a semaphore; ScamemError for another object.

    Threads: any; the permits are their process's. fork: the child holds nothing.
    """

    magic = kind_word("sema")
    what = "semaphore"

    @classmethod
    def create(cls, seat: Seat, value: int, bounded: bool) -> Semaphore:
        """Create one; see Arena.semaphore."""
        return cls(cls._allocate(seat, value, value if bounded else 0))

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take a permit; return whether there was one in time.

        Parameters
        ----------
        blocking : False: do not wait.
        timeout : seconds to wait; None or -1: without an end.
        """
        status, _ = self._take(blocking, timeout, by_thread=False, writes=False)
        return status == L.OK

    def release(self, n: int = 1) -> None:
        """Give `n` permits back.

        Raises
        ------
        ValueError : `n` is less than 1, or a bounded semaphore has all its permits.
        """
        if n < 1:
            raise ValueError(f"asked to release {n} permits; at least 1 is needed")
        for _ in range(n):
            if self._repeat(self._turns.release_permit) == L.FULL:
                raise ValueError(
                    "asked to release a permit of a bounded semaphore that has all of its "
                    f"{self._turns.read_word(P.LIMIT):,}; release each permit once"
                )
            self._taken = max(0, self._taken - 1)

    def _give_back(self, _writes: bool) -> None:
        self._repeat(self._turns.release_permit)

    @property
    def value(self) -> int:
        """How many permits are free now."""
        watch = Watch()
        while self._turns.count_free(watch) == L.BUSY:
            self._turns.nap(watch, 1.0)
        return max(0, watch.result)

    def __enter__(self) -> bool:  # type: ignore[override]  # as threading: not the object
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class RWLock(Permits):
    """A lock that many threads may have for reading, or one for writing; it survives its holders.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> lock = arena.rwlock()
    >>> with lock.read(), lock.read():
    ...     lock.acquire_write(timeout=0)
    Traceback (most recent call last):
    RuntimeError: ...

    `arena.rwlock(name)` makes one, or opens the one that has this name. All wait in the order in
    which they came, so neither readers nor writers starve.

    A reader that dies gives up its share. If a writer dies, or drops its last reference to the lock
    without releasing it, what it wrote may be half done: from then on each acquire, for reading or
    writing, **holds the lock** and raises OwnerDiedError, until a writer has had the lock and
    released it. With `on_owner_death="recover"`, acquire returns True and sets `recovered`.

    Parameters
    ----------
    obj : the Scamem of a read-write lock; ScamemError for another object.
    on_owner_death : "raise" or "recover"; each opening has its own choice.

    Attributes
    ----------
    recovered : whether a writer had died when this opening's last acquire got the lock.

    Threads: each is a holder of its own. A thread that reads may acquire the lock for reading
    again. It cannot change to writing: that raises RuntimeError.
    fork: the child holds nothing.
    """

    magic = kind_word("rwlk")
    what = "read-write lock"

    def __init__(self, obj: Scamem, on_owner_death: str = RAISE) -> None:
        self._recover = checked_choice(on_owner_death)
        self.recovered = False
        super().__init__(obj)

    @classmethod
    def create(cls, seat: Seat, on_owner_death: str) -> RWLock:
        """Create one; see Arena.rwlock."""
        checked_choice(on_owner_death)
        return cls(cls._allocate(seat, P.UNITS_ALL), on_owner_death)

    def acquire_read(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take the lock for reading, beside other readers; return whether it was taken in time.

        Raises
        ------
        OwnerDiedError : a writer died with the lock; this thread holds it for reading now.
        RuntimeError : this thread has it for writing.
        """
        return self._acquire(blocking, timeout, writes=False)

    def acquire_write(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take the lock for writing, alone; return whether it was taken in time.

        Raises
        ------
        OwnerDiedError : a writer died with the lock; this thread holds it for writing now. Repair
            what it protects; its release says that this was done.
        RuntimeError : this thread has the lock already.
        """
        return self._acquire(blocking, timeout, writes=True)

    def _acquire(self, blocking: bool, timeout: float | None, *, writes: bool) -> bool:
        status, watch = self._take(blocking, timeout, by_thread=True, writes=writes)
        if status == L.EXISTS:
            raise RuntimeError(
                f"asked for a {self.what} for {'writing' if writes else 'reading'}, in a thread "
                "that has it already; it would wait for itself. Release it first"
            )
        if status not in TAKEN:
            return False
        self.recovered = status == P.OWNER_DIED
        if self.recovered and not self._recover:
            raise self._owner_died(watch.dead)
        return True

    def release_read(self) -> None:
        """Give up the lock, which this thread has for reading; RuntimeError if it does not."""
        self._release(writes=False)

    def release_write(self) -> None:
        """Give up the lock, which this thread has for writing; RuntimeError if it does not."""
        self._release(writes=True)

    def _release(self, *, writes: bool) -> None:
        turns = self._turns
        if self._repeat(lambda watch: turns.release_turn(watch, writes)) != L.OK:
            raise RuntimeError(
                f"asked to release a {self.what} that this thread does not hold for "
                f"{'writing' if writes else 'reading'}. The thread that acquired it releases it"
            )
        self._taken = max(0, self._taken - 1)

    def _give_back(self, writes: bool) -> None:
        self._repeat(lambda watch: self._turns.release_turn(watch, writes))

    @contextlib.contextmanager
    def read(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock for reading in a `with` block; WaitTimeoutError after `timeout` seconds."""
        if not self.acquire_read(timeout=timeout):
            raise self._too_late(timeout)
        try:
            yield
        finally:
            self.release_read()

    @contextlib.contextmanager
    def write(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock for writing in a `with` block; WaitTimeoutError after `timeout` seconds."""
        if not self.acquire_write(timeout=timeout):
            raise self._too_late(timeout)
        try:
            yield
        finally:
            self.release_write()

    def _too_late(self, timeout: float | None) -> Exception:
        return Deadline(timeout).error(
            f"this {self.what}", "others hold it", "Wait longer, or see what they do"
        )

    def _further(self) -> tuple[Any, ...]:
        return (RECOVER,) if self._recover else ()
