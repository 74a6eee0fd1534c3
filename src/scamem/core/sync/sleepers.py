"""Conditions: members sleep until another one notifies them.

State. An entry SLEEPING is a member that waits, in the order of tickets; NOTIFIED is one that was
notified and has not yet said that it knows. The user's lock is not this module's.

Steps. sleep makes an entry, before the member gives the user's lock up. notify turns the oldest
entries into NOTIFIED ones, by one store each, and wakes them; it asks for each whether its member
lives. A member that finds itself notified takes the user's lock, and then removes its entry
(finish).

Why safe. An entry of a dead member takes no notification: notify removes it and goes to the next.
A member that dies after it was notified leaves a NOTIFIED entry, until it has the user's lock. The
others look after each nap (tend): for such an entry, they notify another sleeper first, and remove
it afterwards. A death in between notifies one sleeper too many, which is allowed, and none too few.
A member that an exception wakes passes its notification on.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
    from cython.cimports.scamem.core.sync import places as P
else:
    from ..store import layout as L
    from ..store.words import Words, word
    from . import alive, turns
    from . import places as P


def sleep(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Make an entry that sleeps: QUEUED; BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    entry: word = turns.add(w, me, 0, turns.next_ticket(w) << P.WHAT_SHIFT | P.SLEEPING, 0)
    if entry == L.FULL:
        bury(w, arena, mine)
        turns.watch_nothing(w, watch)
        status = L.BUSY
    else:
        turns.watch_entry(w, entry, watch)
        status = P.QUEUED
    turns.leave(w, me)
    return status


def is_notified(w: Words, watch: Words) -> bool:
    """Tell whether a wait's entry was notified, before a nap; the nap ends if it is meanwhile."""
    entry: word = watch[P.WATCH_ENTRY] - 1
    watch[P.WATCH_AT] = turns.at(entry) + P.ENTRY_WAKE
    watch[P.WATCH_SEEN] = w[turns.at(entry) + P.ENTRY_WAKE]
    return turns.state(w, entry) == P.NOTIFIED


def notify_one(w: Words, arena: Words, mine: Words) -> bool:
    """Notify the oldest sleeper that lives; False if there is none. Needs: the guard."""
    entry: word = turns.oldest(w, P.SLEEPING, 0)
    while entry != L.NOT_FOUND:  # bound: the table, since each turn removes an entry
        if alive.lives(arena, mine, w[turns.at(entry) + P.ENTRY_WHO]):
            turns.set_state(w, entry, P.NOTIFIED)
            turns.wake(w, entry)
            return True
        turns.remove(w, entry)
        entry = turns.oldest(w, P.SLEEPING, 0)
    return False


def notify(w: Words, arena: Words, mine: Words, me: word, wanted: word, watch: Words) -> word:
    """Notify sleepers, the oldest first: OK; BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    while wanted != 0 and notify_one(w, arena, mine):  # bound: the table
        wanted -= 1
    turns.leave(w, me)
    return L.OK


def bury(w: Words, arena: Words, mine: Words) -> None:
    """Remove the entries of dead members; notify others in their place. Needs: the guard."""
    entry: word = 0
    who: word
    while entry < turns.count(w):  # bound: the table
        who = w[turns.at(entry) + P.ENTRY_WHO]
        if who != 0 and not alive.lives(arena, mine, who):
            if turns.state(w, entry) == P.NOTIFIED:
                notify_one(w, arena, mine)
            turns.remove(w, entry)
        entry += 1


def tend(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Take care of dead members, between two naps: OK; BUSY: the guard is another's."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    bury(w, arena, mine)
    turns.leave(w, me)
    return L.OK


def finish(w: Words, arena: Words, mine: Words, me: word, handing: bool, watch: Words) -> word:
    """Stop sleeping: OK if it was notified, NOT_FOUND if not; BUSY: try again.

    `handing`: another is notified in its place.
    """
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    entry: word = watch[P.WATCH_ENTRY] - 1
    if turns.state(w, entry) != P.NOTIFIED:
        status = L.NOT_FOUND
    elif handing:
        notify_one(w, arena, mine)
    turns.remove(w, entry)
    watch[P.WATCH_ENTRY] = 0
    turns.leave(w, me)
    return status
