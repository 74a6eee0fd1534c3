"""Semaphores and read-write locks: members hold permits, and wait for them in order.

State. VALUE is how many permits exist. An entry HELD has some of them; an entry WAITING wants some,
and its ticket is its place. A semaphore's entry is a process's; a read-write lock's is a thread's,
and a writer wants all permits, a reader one.

Steps. acquire: with the guard, an entry goes in if the permits held, those wanted by earlier
entries and its own are no more than VALUE. So nobody is overtaken. release: lowers its own entry,
or removes it, and wakes those that fit now. A semaphore's permit may be released by another process
than the one that acquired it: then it is taken from that one's entry; if no entry has any, VALUE
grows by one.

Why safe: turns.py. A dead member's permits come back when a waiter removes its entry. A dead
writer's entry is removed after POISON was stored; from then on each acquire says OWNER_DIED, until
a writer releases. A writer that dies meanwhile leaves POISON as it is.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
    from cython.cimports.scamem.core.sync import places as P
else:
    from ..store import layout as L
    from ..store.words import Words, store, word
    from . import alive, turns
    from . import places as P


def held(w: Words) -> word:
    """Return how many permits are held. Needs: the guard."""
    entry: word = 0
    total: word = 0
    while entry < turns.count(w):  # bound: the table
        if turns.state(w, entry) == P.HELD:
            total += w[turns.at(entry) + P.ENTRY_UNITS]
        entry += 1
    return total


def fits(w: Words, ticket: word, units: word) -> bool:
    """Tell whether an entry with a ticket may have its permits now. Needs: the guard."""
    entry: word = 0
    total: word = held(w) + units
    while entry < turns.count(w):  # bound: the table
        if turns.state(w, entry) == P.WAITING and turns.ticket(w, entry) < ticket:
            total += w[turns.at(entry) + P.ENTRY_UNITS]
        entry += 1
    return total <= w[P.VALUE]


def wake_fitting(w: Words) -> None:
    """Wake the waiters that may have their permits now, in order. Needs: the guard."""
    total: word = held(w)
    entry: word = turns.oldest(w, P.WAITING, 0)
    while entry != L.NOT_FOUND:  # bound: the table, since tickets grow
        total += w[turns.at(entry) + P.ENTRY_UNITS]
        if total > w[P.VALUE]:
            return
        turns.wake(w, entry)
        entry = turns.oldest(w, P.WAITING, turns.ticket(w, entry) + 1)


def purge(w: Words, arena: Words, mine: Words) -> word:
    """Remove the entries of dead members; return how many. Needs: the guard."""
    entry: word = 0
    found: word = 0
    who: word
    while entry < turns.count(w):  # bound: the table
        who = w[turns.at(entry) + P.ENTRY_WHO]
        if who != 0 and not alive.lives(arena, mine, who):
            if turns.state(w, entry) == P.HELD:
                if w[turns.at(entry) + P.ENTRY_UNITS] >= P.UNITS_ALL:
                    store(w, P.POISON, who)
            turns.remove(w, entry)
            found += 1
        entry += 1
    if found != 0:
        wake_fitting(w)
    return found


def find_held(w: Words, me: word, thread: word) -> word:
    """Return the entry in which a member's thread holds permits, or NOT_FOUND. Needs: the guard."""
    entry: word = 0
    while entry < turns.count(w):  # bound: the table
        if turns.state(w, entry) == P.HELD and w[turns.at(entry) + P.ENTRY_WHO] == me:
            if w[turns.at(entry) + P.ENTRY_THREAD] == thread:
                return entry
        entry += 1
    return L.NOT_FOUND


def acquire(
    w: Words, arena: Words, mine: Words, me: word, thread: word, units: word, watch: Words
) -> word:
    """Look once: OK or OWNER_DIED (permits are held); QUEUED or BUSY: nap, and look again.

    EXISTS: this thread holds permits that it cannot add to: it writes, or wants to write.
    """
    napped: word = watch[P.WATCH_LOOKS]
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    if watch[P.WATCH_ENTRY] == 0:
        status = begin(w, arena, mine, me, thread, units, napped, watch)
    else:
        status = proceed(w, arena, mine, napped, watch)
    if status == L.OK and w[P.POISON] != 0:
        watch[P.WATCH_SEEN] = w[P.POISON]
        status = P.OWNER_DIED
    turns.leave(w, me)
    return status


def begin(
    w: Words,
    arena: Words,
    mine: Words,
    me: word,
    thread: word,
    units: word,
    napped: word,
    watch: Words,
) -> word:
    """Take permits, or make an entry that waits for them. Needs: the guard."""
    entry: word = find_held(w, me, thread)
    place: word = turns.at(entry) + P.ENTRY_UNITS
    room: word
    what: word
    if entry != L.NOT_FOUND and (units == P.UNITS_ALL or w[place] == P.UNITS_ALL):
        return L.EXISTS
    if entry != L.NOT_FOUND and thread != 0:  # a thread that reads may read again
        store(w, place, w[place] + units)
        return L.OK
    room = fits(w, w[P.TICKET], units)
    if room == 0 and napped != 0 and purge(w, arena, mine) != 0:
        room = fits(w, w[P.TICKET], units)
    if room != 0 and entry != L.NOT_FOUND:
        store(w, place, w[place] + units)
        return L.OK
    what = turns.next_ticket(w) << P.WHAT_SHIFT | (P.HELD if room != 0 else P.WAITING)
    entry = turns.add(w, me, thread, what, units)
    if entry == L.FULL:
        turns.watch_nothing(w, watch)
        return L.BUSY
    if room != 0:
        return L.OK
    turns.watch_entry(w, entry, watch)
    return P.QUEUED


def proceed(w: Words, arena: Words, mine: Words, napped: word, watch: Words) -> word:
    """Let a waiting entry in, if it fits. Needs: the guard."""
    entry: word = watch[P.WATCH_ENTRY] - 1
    units: word = w[turns.at(entry) + P.ENTRY_UNITS]
    room: word = fits(w, turns.ticket(w, entry), units)
    if room == 0 and napped != 0 and purge(w, arena, mine) != 0:
        room = fits(w, turns.ticket(w, entry), units)
    if room != 0:
        turns.set_state(w, entry, P.HELD)
        watch[P.WATCH_ENTRY] = 0
        return L.OK
    turns.watch_entry(w, entry, watch)
    return P.QUEUED


def withdraw(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Stop waiting: OK, or BUSY: try again. Those behind are let in."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    if watch[P.WATCH_ENTRY] != 0:
        turns.remove(w, watch[P.WATCH_ENTRY] - 1)
        watch[P.WATCH_ENTRY] = 0
        wake_fitting(w)
    turns.leave(w, me)
    return L.OK


def release(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Release one permit of a semaphore: OK; FULL, if a bounded one has all; BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    entry: word = find_held(w, me, 0)
    if entry == L.NOT_FOUND:
        entry = turns.oldest(w, P.HELD, 0)
    if entry != L.NOT_FOUND:
        give_back(w, entry)
    elif w[P.LIMIT] != 0 and w[P.VALUE] >= w[P.LIMIT]:
        status = L.FULL
    else:
        store(w, P.VALUE, w[P.VALUE] + 1)
    if status == L.OK:
        wake_fitting(w)
    turns.leave(w, me)
    return status


def give_back(w: Words, entry: word) -> None:
    """Take one permit from an entry. Needs: the guard."""
    place: word = turns.at(entry) + P.ENTRY_UNITS
    if w[place] > 1:
        store(w, place, w[place] - 1)
    else:
        turns.remove(w, entry)


def release_turn(
    w: Words, arena: Words, mine: Words, me: word, thread: word, writes: bool, watch: Words
) -> word:
    """Release a read-write lock once: OK; NOT_OWNER: not held in that way; BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    entry: word = find_held(w, me, thread)
    if entry == L.NOT_FOUND:
        status = L.NOT_OWNER
    elif writes != (w[turns.at(entry) + P.ENTRY_UNITS] == P.UNITS_ALL):
        status = L.NOT_OWNER
    elif writes:
        if w[P.POISON] != 0:
            store(w, P.POISON, 0)
        turns.remove(w, entry)
    else:
        give_back(w, entry)
    if status == L.OK:
        wake_fitting(w)
    turns.leave(w, me)
    return status


def free_permits(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Return how many permits nobody has: WATCH_RESULT. OK, or BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    purge(w, arena, mine)
    watch[P.WATCH_RESULT] = w[P.VALUE] - held(w)
    turns.leave(w, me)
    return L.OK


def drop(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Remove all entries of this member, as if it were dead: OK, or BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    entry: word = 0
    if status != L.OK:
        return status
    while entry < turns.count(w):  # bound: the table
        if w[turns.at(entry) + P.ENTRY_WHO] == me:
            if turns.state(w, entry) == P.HELD:
                if w[turns.at(entry) + P.ENTRY_UNITS] >= P.UNITS_ALL:
                    store(w, P.POISON, me)
            turns.remove(w, entry)
        entry += 1
    wake_fitting(w)
    turns.leave(w, me)
    return L.OK
