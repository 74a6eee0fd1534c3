"""Events: one word, {how often it was set 63, whether it is set 1}.

Steps. raise_it counts, sets the bit, and wakes all. A waiter naps on the low half while the word is
the one that it saw; it is through if the bit is set, or the count has changed: an event that is
cleared at once has still let through those that waited.

Why safe: each change is one exchange. A member that dies between the exchange and the wake leaves
waiters to the end of their naps, after which they look again.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
    from cython.cimports.scamem.core.sync import places as P
else:
    from ..store import layout as L
    from ..store.words import Words, compare_exchange, futex_wake, load_acquire, word
    from . import places as P


def raise_it(w: Words) -> None:
    """Set the event."""
    seen: word = load_acquire(w, P.FLAG)
    while seen & 1 == 0:  # bound: a retry only when another member changed the word
        if compare_exchange(w, P.FLAG, seen, seen + 3):
            break
        seen = load_acquire(w, P.FLAG)
    futex_wake(w, P.FLAG, L.WAKE_ALL)


def lower(w: Words) -> None:
    """Clear the event."""
    seen: word = load_acquire(w, P.FLAG)
    while seen & 1 != 0:  # bound: a retry only when another member changed the word
        if compare_exchange(w, P.FLAG, seen, seen - 1):
            return
        seen = load_acquire(w, P.FLAG)


def look(w: Words, watch: Words) -> word:
    """Look whether the event is set, or was since the first look: OK; QUEUED: nap, look again."""
    seen: word = load_acquire(w, P.FLAG)
    if seen & 1 != 0:
        return L.OK
    if watch[P.WATCH_LOOKS] == 0:
        watch[P.WATCH_RESULT] = seen
    elif watch[P.WATCH_RESULT] != seen:
        return L.OK
    watch[P.WATCH_LOOKS] = 1
    watch[P.WATCH_AT] = P.FLAG
    watch[P.WATCH_SEEN] = seen
    return P.QUEUED
