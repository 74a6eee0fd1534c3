"""Barriers: a fixed number of parties wait for each other, again and again.

State. PHASE is {generation, broken}. An entry is a party that has arrived; its ticket is the
generation in which it did. UNITS is 1 in an entry whose generation was broken.

Steps. arrive makes an entry; the last of VALUE parties gets LAST. trip, by that party: PHASE goes
to the next generation in one store, and all are released by it. spoil, at a timeout, an abort or a
death: marks each entry of the generation, then stores the broken bit. renew, for reset: marks each
entry, then stores the next generation, not broken.

Why safe. Whether a generation was tripped or broken is in a party's own entry, since later
generations may come and go before it looks. A member that dies while it spoils leaves some entries
marked: the next operation finds a mark in the current generation and completes it (settle). One
that dies in trip has either stored PHASE or not; if not, its own entry is a dead party's.

A party that dies while it waits breaks the barrier: the others could not meet it in the next
generation, and a barrier that counted it would let them through without its work.

Who finishes: any party that waits, and the last one when it trips.
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


def generation(w: Words) -> word:
    """Return the current generation."""
    return w[P.PHASE] >> 1


def is_here(w: Words, entry: word) -> bool:
    """Tell whether an entry is a party of the current generation. Needs: the guard."""
    return turns.state(w, entry) != 0 and turns.ticket(w, entry) == generation(w)


def arrived(w: Words) -> word:
    """Return how many parties have arrived in this generation. Needs: the guard."""
    entry: word = 0
    found: word = 0
    while entry < turns.count(w):  # bound: the table
        if is_here(w, entry):
            found += 1
        entry += 1
    return found


def mark(w: Words) -> None:
    """Mark the parties of this generation: it is broken. Needs: the guard."""
    entry: word = 0
    while entry < turns.count(w):  # bound: the table
        if is_here(w, entry):
            store(w, turns.at(entry) + P.ENTRY_UNITS, 1)
        entry += 1


def break_all(w: Words) -> None:
    """Break this generation. Needs: the guard."""
    mark(w)
    store(w, P.PHASE, w[P.PHASE] | 1)
    turns.wake_all(w)


def settle(w: Words, arena: Words, mine: Words, probe: bool) -> None:
    """Complete what a dead member began; with `probe`, see to dead parties. Needs: the guard."""
    entry: word = 0
    broken: word = 0
    dead: word
    while entry < turns.count(w):  # bound: the table
        if turns.state(w, entry) != 0:
            dead = 0
            if probe and not alive.lives(arena, mine, w[turns.at(entry) + P.ENTRY_WHO]):
                dead = 1
            if is_here(w, entry) and (dead != 0 or w[turns.at(entry) + P.ENTRY_UNITS] != 0):
                broken = 1
            elif dead != 0:
                turns.remove(w, entry)
        entry += 1
    if broken != 0 and w[P.PHASE] & 1 == 0:
        break_all(w)


def arrive(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Arrive: QUEUED or LAST, WATCH_RESULT parties came before; BROKEN; BUSY: nap and try again."""
    napped: word = watch[P.WATCH_LOOKS]
    status: word = turns.enter(w, arena, mine, me, watch)
    entry: word
    before: word
    if status != L.OK:
        return status
    settle(w, arena, mine, napped != 0)
    before = arrived(w)
    if w[P.PHASE] & 1 != 0:
        status = P.BROKEN
    elif before >= w[P.VALUE]:  # all are there, and the last has not tripped it yet
        turns.watch_nothing(w, watch)
        status = L.BUSY
    else:
        entry = turns.add(w, me, 0, generation(w) << P.WHAT_SHIFT | P.WAITING, 0)
        if entry == L.FULL:
            turns.watch_nothing(w, watch)
            status = L.BUSY
        else:
            turns.watch_entry(w, entry, watch)
            watch[P.WATCH_RESULT] = before
            status = P.LAST if before + 1 == w[P.VALUE] else P.QUEUED
    turns.leave(w, me)
    return status


def trip(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Release all parties, as the last one: OK, or BROKEN; BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    entry: word = watch[P.WATCH_ENTRY] - 1
    settle(w, arena, mine, True)
    if w[turns.at(entry) + P.ENTRY_UNITS] != 0:
        status = P.BROKEN
    else:
        store(w, P.PHASE, w[P.PHASE] + 2)
        turns.wake_all(w)
    turns.remove(w, entry)
    watch[P.WATCH_ENTRY] = 0
    turns.leave(w, me)
    return status


def look(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Look whether the own generation has ended: OK, BROKEN, or QUEUED or BUSY: nap, look again."""
    napped: word = watch[P.WATCH_LOOKS]
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    entry: word = watch[P.WATCH_ENTRY] - 1
    settle(w, arena, mine, napped > 1)
    if w[turns.at(entry) + P.ENTRY_UNITS] != 0:
        status = P.BROKEN
    elif is_here(w, entry):
        turns.watch_entry(w, entry, watch)
        status = P.QUEUED
    if status != P.QUEUED:
        turns.remove(w, entry)
        watch[P.WATCH_ENTRY] = 0
    turns.leave(w, me)
    return status


def spoil(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Break the barrier: OK; BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    break_all(w)
    turns.leave(w, me)
    return L.OK


def renew(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Begin a new generation; parties that wait are told that theirs is broken. BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    settle(w, arena, mine, True)
    mark(w)
    store(w, P.PHASE, (w[P.PHASE] | 1) + 1)
    turns.wake_all(w)
    turns.leave(w, me)
    return L.OK


def number(w: Words, arena: Words, mine: Words, me: word, watch: Words) -> word:
    """Store how many parties wait in WATCH_RESULT: OK, or BROKEN; BUSY: try again."""
    status: word = turns.enter(w, arena, mine, me, watch)
    if status != L.OK:
        return status
    settle(w, arena, mine, True)
    watch[P.WATCH_RESULT] = arrived(w)
    if w[P.PHASE] & 1 != 0:
        status = P.BROKEN
    turns.leave(w, me)
    return status
