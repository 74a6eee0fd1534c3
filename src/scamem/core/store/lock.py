"""The arena's one lock: a word that names its holder's slot and never repeats.

State: LOCK = {ticket 46, flags 2, slot 16}; slot 0 means free. WAITERS: some member may nap on the
low half as a futex. DROPS: some member's drop stack is not empty, and the holder empties it before
it unlocks. Each acquisition writes a larger ticket.

Steps. try_lock: slot 0 -> {ticket + 1, flags kept, own slot} by compare-exchange. Waiting (outside,
in procedures/waiting.py): set WAITERS, nap on the futex for some milliseconds; if the same word is
still there after the nap *and* the slot that it names is unlocked: take_over, by compare-exchange
of the whole word. unlock: {ticket, 0, 0}, then wake one if WAITERS was set. A member that has
waited takes the lock by try_again, which sets WAITERS: unlock wakes one of several, and the others
are still there. A member that stops waiting calls pass_on: the wake that it may have got goes to
another.

Why safe. A holder that dies leaves the word naming its slot, and its slot lock goes only after its
last thread has left user code, so nobody takes over from a thread that still stores. Between the
probe and the exchange, another member may have taken over, rolled back and left, and the slot may
be a new member's: then the ticket differs and the exchange fails. Death after taking over and
before the roll-back ends: the word names the taker, the journal is still there, the next taker
rolls back. While nobody dies, a waiter never naps beside a free lock: each unlock of a word with
WAITERS wakes one waiter, which takes the lock with WAITERS set, or finds it taken and sets WAITERS
in its word, or passes the wake on. Death between unlock and wake, or of a waiter that was woken:
naps have an end, and waiters look again; a take-over wakes all.

Who finishes: any waiter; and a joiner whose slot the word names (its predecessor died inside).

Tried and failed. A word without a ticket lets a late taker steal the lock from the slot's next
owner. Clearing WAITERS at an unlock that wakes one leaves the others to the end of their naps,
with the lock free. A robust pthread mutex trusts thread ids, which repeat across pid namespaces.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from . import events, journal
    from . import layout as L
    from .words import Words, compare_exchange, futex_wake, load_acquire, store, word


def held_by(value: word) -> word:
    """Return the slot that a value of the lock word names; 0 means free."""
    return value & L.LOCK_SLOT_MASK


def try_lock(arena: Words, slot: word) -> word:
    """Take the lock if it is free: OK, BUSY, or DAMAGED (it is not held then)."""
    return take(arena, slot, 0)


def try_again(arena: Words, slot: word) -> word:
    """Take the lock if it is free, after a wait: others may still be waiting."""
    return take(arena, slot, L.LOCK_WAITERS)


def take(arena: Words, slot: word, flags: word) -> word:
    """Take the lock if it is free, setting some flags: OK, BUSY, or DAMAGED (it is not held).

    One attempt, no wait. I7 is checked here: no member leaves a journal that is not empty while
    nobody holds the lock.
    """
    seen: word = load_acquire(arena, L.LOCK)
    if held_by(seen) != 0:
        return L.BUSY
    if not compare_exchange(arena, L.LOCK, seen, (seen + L.LOCK_TICKET_ONE) | flags | slot):
        return L.BUSY
    if arena[L.JOURNAL_DAMAGED] != 0 or arena[L.JOURNAL_LENGTH] != 0:
        store(arena, L.JOURNAL_DAMAGED, 1)
        unlock(arena)
        return L.DAMAGED
    return L.OK


def take_over(arena: Words, slot: word, seen: word) -> word:
    """Take the lock from a holder known to be dead, as of the word `seen`: OK, BUSY or DAMAGED.

    Needs: `seen` was read before its slot was probed and found unlocked.
    """
    taken: word = (seen + L.LOCK_TICKET_ONE) & ~cython.cast(word, L.LOCK_SLOT_MASK)
    undone: word
    if not compare_exchange(arena, L.LOCK, seen, taken | L.LOCK_FLAGS | slot):
        return L.BUSY
    undone = journal.roll_back(arena)
    store(arena, L.JOURNAL_FAILED, 0)
    store(arena, L.LOCK_TAKEOVERS, arena[L.LOCK_TAKEOVERS] + 1)
    store(arena, L.LOCK_ROLLBACKS, arena[L.LOCK_ROLLBACKS] + undone)
    futex_wake(arena, L.LOCK, L.WAKE_ALL)
    events.wake_all(arena)
    if arena[L.JOURNAL_DAMAGED] != 0:
        unlock(arena)
        return L.DAMAGED
    return L.OK


def announce_wait(arena: Words, seen: word) -> bool:
    """Set WAITERS in the word `seen`, before napping on it; False if the word has changed."""
    return compare_exchange(arena, L.LOCK, seen, seen | L.LOCK_WAITERS)


def pass_on(arena: Words) -> None:
    """Stop waiting: another waiter is woken now, or by the next unlock."""
    seen: word = arena[L.LOCK]
    while held_by(seen) != 0:  # bound: a retry only when the word has changed
        if announce_wait(arena, seen):
            return
        seen = arena[L.LOCK]
    futex_wake(arena, L.LOCK, 1)


def clear_drops(arena: Words) -> word:
    """Clear DROPS, before the stacks are examined; return whether it was set."""
    seen: word = arena[L.LOCK]
    while seen & L.LOCK_DROPS != 0:  # bound: a retry only when another member set a flag
        if compare_exchange(arena, L.LOCK, seen, seen & ~cython.cast(word, L.LOCK_DROPS)):
            return 1
        seen = arena[L.LOCK]
    return 0


def set_drops(arena: Words) -> None:
    """Ask the lock's holder to examine the drop stacks before it unlocks."""
    seen: word = arena[L.LOCK]
    while seen & L.LOCK_DROPS == 0:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, L.LOCK, seen, seen | L.LOCK_DROPS):
            return
        seen = arena[L.LOCK]


def unlock(arena: Words) -> word:
    """Give up the lock; return 1 if DROPS was set meanwhile (the flag stays set).

    Needs: the lock is held and the journal empty (I7).
    """
    seen: word = arena[L.LOCK]
    left: word
    while True:  # bound: a retry only when another member set a flag
        left = seen & ~cython.cast(word, L.LOCK_SLOT_MASK | L.LOCK_WAITERS)
        if compare_exchange(arena, L.LOCK, seen, left):
            break
        seen = arena[L.LOCK]
    if seen & L.LOCK_WAITERS != 0:
        futex_wake(arena, L.LOCK, 1)
    return 1 if seen & L.LOCK_DROPS != 0 else 0
