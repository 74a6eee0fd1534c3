"""The process-local lock, and the references that are left to its holder.

State. LOCAL_LOCK: 0 free, 1 held, 2 held and others wait. It guards the private words of all arenas
of this process, the counts of its records, and the table of joined arenas. Below it, each word of
LOCAL_LEFT_AT is 0 or one reference that a deallocation could not release, since another thread had
the lock; LOCAL_LEFT says that there may be some.

Steps. lock, unlock: a futex with three states. leave_behind: writes the reference to a free word,
by compare-exchange, then sets LOCAL_LEFT; then the caller tries the lock once more. A thread that
unlocks looks at LOCAL_LEFT afterwards, and comes back if it is set (letting_go.release): it clears
the flag, then takes the words one by one.

Why safe. Either the unlocking thread sees the flag, or the deallocating one gets the lock. Each
reference appears and goes by one store, so a fork copies it or does not: the child, which has a
record with the same counts, releases it as its parent does.

Lock order: this one, then an arena's. Its holder asks for no GIL, runs no Python, calls no malloc,
and gives it up for anything that takes long. Only fork's prepare keeps it, for at most FORK_NS.

Tried and failed: a deallocation that waits has the GIL, so one thread's fork stopped all others.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.words import (
        Words,
        compare_exchange,
        exchange,
        futex_wait,
        futex_wake,
        word,
    )
    from .host import table


def lock() -> None:
    """Take the lock, waiting for it."""
    local: Words = table.local
    if compare_exchange(local, L.LOCAL_LOCK, 0, 1):
        return
    while exchange(local, L.LOCAL_LOCK, 2) != 0:
        futex_wait(local, L.LOCAL_LOCK, 2, L.NAP_NS)


def try_lock() -> bool:
    """Take the lock if it is free; tell whether it was."""
    local: Words = table.local
    return compare_exchange(local, L.LOCAL_LOCK, 0, 1)


def unlock() -> None:
    """Give up the lock. The caller must look for references left behind: letting_go.release."""
    local: Words = table.local
    if exchange(local, L.LOCAL_LOCK, 0) == 2:
        futex_wake(local, L.LOCAL_LOCK, 1)


def leave_behind(number: word, obj: word, by: word) -> bool:
    """Leave one reference to the holder of the lock; False if there is no room. No lock."""
    local: Words = table.local
    entry: word = obj | number << L.LOCAL_LEFT_NUMBER_SHIFT | by << L.LOCAL_LEFT_BY_SHIFT
    at: word = L.LOCAL_LEFT_AT
    while at < L.LOCAL_LEFT_AT + L.LOCAL_LEFT_MAX:
        if local[at] == 0 and compare_exchange(local, at, 0, entry):
            exchange(local, L.LOCAL_LEFT, 1)
            return True
        at += 1
    return False
