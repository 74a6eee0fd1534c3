"""Methods of Arena that make locks and the like, or open them by their name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .barriers import PARTIES_MAX, Barrier
from .conditions import Condition
from .events import Event
from .locks import RAISE, Lock, RLock, checked_choice
from .named import join_or_create
from .semaphores import PERMITS_MAX, RWLock, Semaphore

if TYPE_CHECKING:
    from scamem.membership.seat import Seated


def lock(arena: Seated, name: str | None = None, *, on_owner_death: str = RAISE) -> Lock:
    """Make a lock that survives its holder, or open the lock that has this name.

    Parameters
    ----------
    name : None: a lock without a name, for pickling and for forked children.
    on_owner_death : "raise": an acquire that takes the lock over from a dead process holds it and
        raises OwnerDiedError. "recover": it returns True and sets `recovered`.

    Raises
    ------
    TypeError : the name belongs to another thing.
    OutOfMemoryError : no frame is left.
    """
    seat = arena._seat
    checked_choice(on_owner_death)
    return join_or_create(
        seat,
        name,
        "a lock",
        lambda: Lock(Lock._allocate(seat), on_owner_death),
        lambda obj: Lock(obj, on_owner_death) if Lock._is_kind(obj) else None,
    )


def rlock(arena: Seated, name: str | None = None, *, on_owner_death: str = RAISE) -> RLock:
    """Make a lock that its thread may acquire again, or open the one of this name; see `lock`."""
    seat = arena._seat
    checked_choice(on_owner_death)
    return join_or_create(
        seat,
        name,
        "a reentrant lock",
        lambda: RLock(RLock._allocate(seat), on_owner_death),
        lambda obj: RLock(obj, on_owner_death) if RLock._is_kind(obj) else None,
    )


def rwlock(arena: Seated, name: str | None = None, *, on_owner_death: str = RAISE) -> RWLock:
    """Make a read-write lock, or open the one of this name; see `lock` and scamem.RWLock."""
    seat = arena._seat
    checked_choice(on_owner_death)
    return join_or_create(
        seat,
        name,
        "a read-write lock",
        lambda: RWLock.create(seat, on_owner_death),
        lambda obj: RWLock(obj, on_owner_death) if RWLock._is_kind(obj) else None,
    )


def condition(
    arena: Seated,
    lock: Lock | None = None,
    name: str | None = None,
    *,
    on_owner_death: str = RAISE,
) -> Condition:
    """Make a condition, or open the one of this name; see scamem.Condition.

    Parameters
    ----------
    lock : a Lock or RLock of this arena. None: a reentrant one of the condition's own.
    name, on_owner_death : as for `lock`.
    """
    seat = arena._seat
    checked_choice(on_owner_death)
    if lock is not None and not isinstance(lock, Lock):
        raise TypeError(
            f"asked for a condition with {lock!r}; its lock is a scamem.Lock or RLock of this "
            "arena, or None"
        )
    if lock is not None and lock.scamem.seat is not seat:
        raise ValueError("asked for a condition with a lock of another arena; make both in one")
    return join_or_create(
        seat,
        name,
        "a condition",
        lambda: Condition.create(seat, lock, on_owner_death),
        lambda obj: Condition(obj, lock, on_owner_death) if Condition._is_kind(obj) else None,
    )


def event(arena: Seated, name: str | None = None) -> Event:
    """Make an event, or open the one of this name; see scamem.Event."""
    seat = arena._seat
    return join_or_create(
        seat,
        name,
        "an event",
        lambda: Event(Event._allocate(seat)),
        lambda obj: Event(obj) if Event._is_kind(obj) else None,
    )


def semaphore(
    arena: Seated, value: int = 1, name: str | None = None, *, bounded: bool = False
) -> Semaphore:
    """Make a semaphore, or open the one of this name; see scamem.Semaphore.

    Parameters
    ----------
    value : permits at the start, from 0 to 2,147,483,647. An existing one keeps those it has.
    name : as for `lock`.
    bounded : whether a release beyond `value` permits raises ValueError.
    """
    seat = arena._seat
    if not 0 <= value <= PERMITS_MAX:
        raise ValueError(f"asked for a semaphore of {value:,} permits; 0 to {PERMITS_MAX:,}")
    return join_or_create(
        seat,
        name,
        "a semaphore",
        lambda: Semaphore.create(seat, value, bounded),
        lambda obj: Semaphore(obj) if Semaphore._is_kind(obj) else None,
    )


def barrier(
    arena: Seated,
    parties: int,
    name: str | None = None,
    *,
    action: Callable[[], object] | None = None,
    timeout: float | None = None,
) -> Barrier:
    """Make a barrier, or open the one of this name; see scamem.Barrier.

    Parameters
    ----------
    parties : how many threads, of all processes together, wait for each other; at most 124.
    name : as for `lock`.
    action, timeout : as in threading.Barrier; of this opening only.

    Raises
    ------
    ValueError : the number is not possible, or the barrier of this name has another one.
    """
    seat = arena._seat
    if not 1 <= parties <= PARTIES_MAX:
        raise ValueError(f"asked for a barrier of {parties} parties; 1 to {PARTIES_MAX}")

    def join(obj: Any) -> Barrier | None:
        return Barrier(obj, action, timeout) if Barrier._is_kind(obj) else None

    found = join_or_create(
        seat, name, "a barrier", lambda: Barrier.create(seat, parties, action, timeout), join
    )
    there = found.parties
    if there != parties:
        found.close()
        raise ValueError(
            f"asked for a barrier of {parties} parties named {name!r}; that one has {there}. Use "
            "the same number everywhere"
        )
    return found
