"""A lock in one word that names its holder, for members of an arena.

State: the word is {claim, flags}; a claim of 0 means free. WAITERS: some member may nap on the low
half, a futex. HUNGRY: a waiter lost the lock too often, so only members that have napped may take
it. A claim whose member is dead is a dead holder's, and the lock is taken over.

Steps. look: takes the free word by compare-exchange, or takes it over from a dead holder by
compare-exchange of exactly the word that was seen before the probe; else sets WAITERS (a hungry
waiter sets HUNGRY too), and the caller naps on the word as it is then. A member that has napped
takes it with WAITERS set, since others may still nap. unlock: stores 0, or HUNGRY if it was set,
and wakes one if WAITERS was set. pass_on: a waiter that stops gives its wake to another, and clears
HUNGRY, since it may have been the one that was hungry.

Why safe. A dead holder's word stays until one member has exchanged it: no claim occurs again after
its member's death, so the word cannot have been free in between. A taker that dies before it has
told anybody leaves a dead holder's word again: nobody misses that a holder died. While nobody dies,
no waiter naps beside a lock that it could take: each unlock of a word with WAITERS wakes one, which
takes it, or finds it taken and sets WAITERS, or passes the wake on. After a death between unlock
and wake, or of a member that was woken, naps end by themselves. A HUNGRY word that is free and that
nobody takes is taken by the next member whose nap has ended.

Fairness: the kernel wakes in the order of naps. A member that was woken and found the lock taken
HUNGRY_LOOKS times stops newcomers from taking it first.

Who finishes: any waiter. Nothing else is left unfinished by a death.

Tried and failed: handing the lock to a waiter by storing its claim. The waiter may be dead, and the
next one is told that a holder died, when nobody had the lock.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
    from cython.cimports.scamem.core.sync import places as P
else:
    from ..store import layout as L
    from ..store.words import Words, compare_exchange, futex_wake, load_acquire, word
    from . import alive
    from . import places as P


def holder_of(value: word) -> word:
    """Return the claim in a lock word."""
    flags: word = P.MUTEX_FLAGS
    return value & ~flags


def try_take(w: Words, at: word, me: word) -> bool:
    """Take a lock that is free and that nobody waits for; tell whether it was."""
    return compare_exchange(w, at, 0, me)


def attempt(w: Words, at: word, arena: Words, mine: Words, me: word, looks: word) -> word:
    """Try once: OK or OWNER_DIED (held), BUSY, or AGAIN if the word changed meanwhile."""
    seen: word = load_acquire(w, at)
    holder: word = holder_of(seen)
    flags: word = P.WAITERS if looks != 0 else seen & P.WAITERS
    if holder == 0:
        if looks == 0 and seen & P.HUNGRY != 0:
            return L.BUSY
        return L.OK if compare_exchange(w, at, seen, me | flags) else L.AGAIN
    if looks == 0 or alive.lives(arena, mine, holder):
        return L.BUSY
    return P.OWNER_DIED if compare_exchange(w, at, seen, me | P.WAITERS) else L.AGAIN


def look(w: Words, at: word, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Try to take a lock: OK or OWNER_DIED (it is held), or BUSY: nap, and look again.

    OWNER_DIED: WATCH_SEEN is the dead holder's claim. The first look of a watch asks nobody whether
    the holder lives.
    """
    looks: word = watch[P.WATCH_LOOKS]
    flags: word = P.WAITERS
    tries: word = 0
    seen: word
    status: word
    watch[P.WATCH_LOOKS] = looks + 1
    if looks > P.HUNGRY_LOOKS:
        flags |= P.HUNGRY
    while tries < P.TRIES:
        tries += 1
        seen = load_acquire(w, at)
        watch[P.WATCH_SEEN] = holder_of(seen)
        status = attempt(w, at, arena, mine, me, looks)
        if status == L.OK or status == P.OWNER_DIED:
            return status
        if status == L.BUSY:
            seen = load_acquire(w, at)
            if holder_of(seen) == 0 and (looks != 0 or seen & P.HUNGRY == 0):
                continue
            if seen & flags == flags or compare_exchange(w, at, seen, seen | flags):
                watch[P.WATCH_AT] = at
                watch[P.WATCH_SEEN] = seen | flags
                return L.BUSY
    watch[P.WATCH_AT] = 0
    return L.BUSY


def unlock(w: Words, at: word, me: word) -> word:
    """Give up a lock: OK, or NOT_OWNER if this member does not hold it."""
    seen: word
    if compare_exchange(w, at, me, 0):
        return L.OK
    seen = load_acquire(w, at)
    while holder_of(seen) == me:  # bound: a retry only when another member set a flag
        if compare_exchange(w, at, seen, seen & P.HUNGRY):
            if seen & P.WAITERS != 0:
                futex_wake(w, at, 1)
            return L.OK
        seen = load_acquire(w, at)
    return L.NOT_OWNER


def abandon(w: Words, at: word, me: word) -> None:
    """Leave a lock as a dead holder does, if this member holds it."""
    slot: word = L.MASK_16
    seen: word = load_acquire(w, at)
    while holder_of(seen) == me:  # bound: a retry only when another member set a flag
        if compare_exchange(w, at, seen, seen & ~slot | 1):
            futex_wake(w, at, L.WAKE_ALL)
            return
        seen = load_acquire(w, at)


def pass_on(w: Words, at: word) -> None:
    """Stop waiting without the lock: another waiter is woken now, or by the next unlock."""
    hungry: word = P.HUNGRY
    seen: word = load_acquire(w, at)
    while True:  # bound: a retry only when the word has changed
        if holder_of(seen) != 0:
            if compare_exchange(w, at, seen, (seen | P.WAITERS) & ~hungry):
                return
        elif compare_exchange(w, at, seen, seen & ~hungry):
            break
        seen = load_acquire(w, at)
    futex_wake(w, at, 1)
