"""An object's sequence word: in-place updates of which no reader sees a part.

State. The word is a LIVE object's OBJECT_LINK, which is 0 when the object is made and which no
transaction stores while anybody holds the object. Free: {writes so far, 0}. Claimed: {claim,
flags}, by a writer, or with SEQUENCE_READS by a reader. TORN is claimed by nobody.

Steps. begin: free -> claimed, by compare-exchange; the caller keeps the number. end: claimed ->
free, the number raised by one (a reader's claim: the same number); all that nap are woken. fail:
claimed -> TORN. A reader loads the word, copies, and loads it again: the same free word means that
nothing was written in between. A reader that fails too often claims the word as a writer does.

Why safe. A claim of a dead writer stays until the next writer takes it by compare-exchange of
exactly that word, so readers see it; they get no data until that writer has ended. The number was
the dead writer's own: the next one begins at the clock, which is ahead of any number of writes. A
dead reader's claim has changed nothing, and anybody takes it.

Who finishes: the next writer. No process repairs another one's data.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
    from cython.cimports.scamem.core.sync import places as P
else:
    from ..store import layout as L
    from ..store.words import (
        Words,
        compare_exchange,
        futex_wake,
        load_acquire,
        monotonic_ns,
        word,
    )
    from . import alive
    from . import places as P


def is_claimed(value: word) -> bool:
    """Tell whether a sequence word is claimed."""
    return value & P.SEQUENCE_CLAIMED != 0


def after_death() -> word:
    """Return a free word whose number no member has reached."""
    return monotonic_ns() >> P.CLOCK_SHIFT << P.SEQUENCE_SHIFT


def is_dead(arena: Words, mine: Words, value: word) -> bool:
    """Tell whether a claimed word's member is dead, or is nobody."""
    flags: word = P.MUTEX_FLAGS
    return not alive.lives(arena, mine, value & ~flags)


def await_change(arena: Words, at: word, seen: word, watch: Words) -> word:
    """Ask to be woken when a claimed word changes: BUSY."""
    watch[P.WATCH_AT] = 0
    if seen & P.WAITERS != 0 or compare_exchange(arena, at, seen, seen | P.WAITERS):
        watch[P.WATCH_AT] = at
        watch[P.WATCH_SEEN] = seen | P.WAITERS
    return L.BUSY


def look(arena: Words, mine: Words, at: word, watch: Words) -> word:
    """Look as a reader: OK, the word is free and in WATCH_RESULT; BUSY: nap; BROKEN: torn."""
    seen: word = load_acquire(arena, at)
    if not is_claimed(seen):
        watch[P.WATCH_RESULT] = seen
        return L.OK
    if is_dead(arena, mine, seen):
        if seen & P.SEQUENCE_READS == 0:
            return P.BROKEN
        compare_exchange(arena, at, seen, after_death())
        watch[P.WATCH_AT] = 0
        return L.BUSY
    return await_change(arena, at, seen, watch)


def is_unchanged(arena: Words, at: word, watch: Words) -> bool:
    """Tell whether nothing was written since `look` returned OK."""
    return load_acquire(arena, at) == watch[P.WATCH_RESULT]


def begin(arena: Words, mine: Words, at: word, flags: word, watch: Words) -> word:
    """Claim the word: OK; OWNER_DIED: claimed, and the last writer left a part; BUSY: nap.

    WATCH_RESULT is the free word to end with. `flags`: SEQUENCE_READS for a reader, which gets
    BROKEN instead of OWNER_DIED, and has claimed nothing.
    """
    seen: word = load_acquire(arena, at)
    mine_now: word = alive.claim(mine) | P.SEQUENCE_CLAIMED | flags
    if not is_claimed(seen):
        watch[P.WATCH_AT] = 0
        if not compare_exchange(arena, at, seen, mine_now):
            return L.BUSY
        watch[P.WATCH_RESULT] = seen if flags != 0 else seen + P.SEQUENCE_ONE
        return L.OK
    if not is_dead(arena, mine, seen):
        return await_change(arena, at, seen, watch)
    if seen & P.SEQUENCE_READS == 0 and flags != 0:
        return P.BROKEN
    watch[P.WATCH_AT] = 0
    if not compare_exchange(arena, at, seen, mine_now | seen & P.WAITERS):
        return L.BUSY
    watch[P.WATCH_RESULT] = after_death()
    return L.OK if seen & P.SEQUENCE_READS != 0 else P.OWNER_DIED


def end(arena: Words, mine: Words, at: word, value: word) -> word:
    """Give the word up with a value: OK, or NOT_OWNER."""
    flags: word = P.MUTEX_FLAGS
    seen: word = load_acquire(arena, at)
    while is_claimed(seen) and seen & ~flags == alive.claim(mine):  # bound: a flag was set
        if compare_exchange(arena, at, seen, value):
            if seen & P.WAITERS != 0:
                futex_wake(arena, at, L.WAKE_ALL)
            return L.OK
        seen = load_acquire(arena, at)
    return L.NOT_OWNER
