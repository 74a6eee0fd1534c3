"""Entries of members that hold or wait, in a table behind a guard.

State. The guard is a lock as mutex.py has it. An entry is {claim, what, units, thread, wake}; a
claim of 0 means that it is free. Everything that is true of a primitive follows from its entries
and from single words: how many permits are held is the sum over entries, never a count of its own.

Steps. With the guard, an operation changes the state by one store: the claim makes an entry and
removes it, its state word makes a waiting entry a holding one. A member that frees something wakes
those that it lets in, each on its own entry's word, before it gives the guard up. Entries of dead
members are removed by members that wait and find no room (purge).

Why safe. A member that dies in an operation leaves the state from before or after its one store,
and the guard with its claim. The member that takes the guard over wakes all entries, since wakes
may be missing. Waiters look again after each nap, and naps have an end. An entry of a dead member
means nothing more to anybody who probes it.

A member that stops waiting may remove its own entry without the guard, if that is held by a stopped
process: the claim is its own, and nobody else stores it while it lives.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
    from cython.cimports.scamem.core.sync import places as P
else:
    from ..store import layout as L
    from ..store.words import Words, futex_wake, load_acquire, store, word
    from . import mutex
    from . import places as P


def enter(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Take the guard: OK, or BUSY: nap, and try again."""
    status: word = mutex.look(w, P.GUARD, arena, mine, me, watch)
    if status == P.OWNER_DIED:
        wake_all(w)
        return L.OK
    return status


def leave(w: Words, me: word) -> None:
    """Give the guard up."""
    mutex.unlock(w, P.GUARD, me)


def count(w: Words) -> word:
    """Return how many entries have to be looked at."""
    used: word = load_acquire(w, P.USED)
    return used if used < P.ENTRIES_MAX else P.ENTRIES_MAX


def at(entry: word) -> word:
    """Return the place of an entry."""
    return P.ENTRIES + P.ENTRY_WORDS * entry


def state(w: Words, entry: word) -> word:
    """Return the state of an entry, 0 if it is free."""
    if w[at(entry) + P.ENTRY_WHO] == 0:
        return 0
    return w[at(entry) + P.ENTRY_WHAT] & L.MASK_8


def ticket(w: Words, entry: word) -> word:
    """Return the ticket or generation of an entry."""
    return w[at(entry) + P.ENTRY_WHAT] >> P.WHAT_SHIFT


def add(w: Words, me: word, thread: word, what: word, units: word) -> word:
    """Make an entry; return its number, or FULL. Needs: the guard."""
    entry: word = 0
    used: word = count(w)
    while entry < used and w[at(entry) + P.ENTRY_WHO] != 0:  # bound: the table
        entry += 1
    if entry >= P.ENTRIES_MAX:
        return L.FULL
    if entry == used:
        store(w, P.USED, used + 1)
    store(w, at(entry) + P.ENTRY_WHAT, what)
    store(w, at(entry) + P.ENTRY_UNITS, units)
    store(w, at(entry) + P.ENTRY_THREAD, thread)
    store(w, at(entry) + P.ENTRY_WHO, me)
    return entry


def next_ticket(w: Words) -> word:
    """Return a ticket that is later than all others. Needs: the guard."""
    found: word = w[P.TICKET]
    store(w, P.TICKET, found + 1)
    return found


def remove(w: Words, entry: word) -> None:
    """Remove an entry."""
    store(w, at(entry) + P.ENTRY_WHO, 0)


def set_state(w: Words, entry: word, new: word) -> None:
    """Change the state of an entry, as one store. Needs: the guard."""
    store(w, at(entry) + P.ENTRY_WHAT, ticket(w, entry) << P.WHAT_SHIFT | new)


def wake(w: Words, entry: word) -> None:
    """Wake the owner of an entry."""
    place: word = at(entry) + P.ENTRY_WAKE
    store(w, place, w[place] + 1 & L.MASK_32)
    futex_wake(w, place, L.WAKE_ALL)


def wake_all(w: Words) -> None:
    """Wake the owners of all entries: a dead member may not have."""
    entry: word = 0
    while entry < count(w):  # bound: the table
        if w[at(entry) + P.ENTRY_WHO] != 0:
            wake(w, entry)
        entry += 1


def watch_entry(w: Words, entry: word, watch: Words) -> None:
    """Note in a watch that this wait has an entry, and naps on it. Needs: the guard."""
    watch[P.WATCH_ENTRY] = entry + 1
    watch[P.WATCH_AT] = at(entry) + P.ENTRY_WAKE
    watch[P.WATCH_SEEN] = w[at(entry) + P.ENTRY_WAKE]


def watch_nothing(w: Words, watch: Words) -> None:
    """Note in a watch that the next nap is ended by nobody: the table is full."""
    watch[P.WATCH_AT] = P.KIND
    watch[P.WATCH_SEEN] = w[P.KIND]


def oldest(w: Words, wanted: word, after: word) -> word:
    """Return the entry in a state with the lowest ticket of at least `after`, or NOT_FOUND."""
    entry: word = 0
    found: word = L.NOT_FOUND
    while entry < count(w):  # bound: the table
        if state(w, entry) == wanted and ticket(w, entry) >= after:
            if found == L.NOT_FOUND or ticket(w, entry) < ticket(w, found):
                found = entry
        entry += 1
    return found
