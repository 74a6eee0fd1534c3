"""Reap the dead members of an arena, a few records at a time.

Steps. For each slot in use whose byte is unlocked, checked under the arena's lock (transactions/
reap.py says why): mark it; drop some records, one per transaction; give up both locks and come
back; until the slot is free. Then the runs of DYING objects are given back in the same way.

Why safe: all of it is transactions, so others may continue in between, and after a death. While
this thread has no lock, MINE_BUSY keeps other threads of its process from leaving the arena.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.words import Words, word
    from ..transactions import end, reap
    from . import entering, letting_go, local_lock, waiting
    from .host import table


def reap_dead(arena: Words, mine: Words, slot: word) -> word:
    """Mark a slot if its member is dead: DONE if it is, OK if not. Needs: both locks held.

    The probe is made under the arena's lock, so nobody can have joined in its place since.
    """
    if slot == mine[L.MINE_SLOT] or not reap.is_reapable(arena, mine, slot):
        return L.OK
    if table.probe(mine, slot) != 0:
        return L.OK
    return L.DONE if reap.begin(arena, mine, slot) == L.OK else L.DAMAGED


def reap_some(arena: Words, mine: Words, slot: word) -> word:
    """Take some steps of reaping a slot, one transaction each, under one hold of the lock."""
    left: word = L.REAPED_AT_ONCE
    status: word = L.MORE
    while status == L.MORE and left > 0:
        status = reap.step(arena, mine, slot)
        left -= 1
    return status


def breathe(arena: Words, mine: Words, watch: Words) -> word:
    """Offer both locks to others between two transactions: OK if they are held again."""
    entering.leave(arena, mine)
    return waiting.come_back(arena, mine, watch)


def reap_slots(arena: Words, mine: Words, watch: Words) -> word:
    """Reap every dead member and free DYING objects: OK, or an error with no lock held."""
    slot: word = L.SLOT_FIRST
    status: word
    breath: word
    while slot < arena[L.SLOTS_NEXT] and slot < mine[L.MINE_SLOTS_MAX]:
        if reap_dead(arena, mine, slot) == L.DONE:
            mine[L.MINE_REAPED] = mine[L.MINE_REAPED] + 1
            status = L.MORE
            while status == L.MORE:
                status = reap_some(arena, mine, slot)
                breath = breathe(arena, mine, watch)
                if breath != L.OK:
                    return breath
        slot += 1
    while end.end_some(arena, mine) == L.MORE:
        breath = breathe(arena, mine, watch)
        if breath != L.OK:
            return breath
    return L.OK


def reap_all(arena: Words, mine: Words, watch: Words) -> word:
    """Reap every dead member and free DYING objects: OK, or an error with no lock held.

    Needs: both locks held. They are offered to others between the transactions.
    """
    status: word
    mine[L.MINE_BUSY] = mine[L.MINE_BUSY] + 1
    status = reap_slots(arena, mine, watch)
    if status != L.OK:
        local_lock.lock()
    mine[L.MINE_BUSY] = mine[L.MINE_BUSY] - 1
    if status != L.OK:
        letting_go.release()
    return status
