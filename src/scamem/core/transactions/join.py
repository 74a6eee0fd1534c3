"""Join an arena: a FREE slot becomes ACTIVE, for the process that has locked its byte.

Steps. find_free: finds a slot whose state is FREE, without the lock. The caller locks its byte and
takes the arena's lock in the slot's name. join: checks the state again.

Why safe: two joiners cannot lock one byte. A slot in use is not FREE, so no joiner locks the byte
of a dead member. If a slot is FREE while its byte is locked, another joiner has it, or its member
is just leaving (leave.py): the joiner takes another slot. A joiner that dies before the commit
leaves a FREE slot with an unlocked byte. If it dies inside the critical section, the lock word
names its slot, and the next process to lock that byte (or any waiter) takes over.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import members
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.words import Words, store, word


def find_free(arena: Words, mine: Words, after: word) -> word:
    """Return the first FREE slot after slot `after`, or 0. Needs no lock: check it again."""
    slot: word = after + 1 if after >= L.SLOT_FIRST else L.SLOT_FIRST
    while slot < mine[L.MINE_SLOTS_MAX]:  # bound: the slots
        if members.state(arena, mine, slot) == L.SLOT_STATE_FREE:
            return slot
        slot += 1
    return 0


def join(arena: Words, mine: Words, slot: word, pid: word, descriptors: word) -> word:
    """Make a slot this member's: OK, or NO_SLOTS if it is not FREE. Needs: its byte is locked."""
    if members.state(arena, mine, slot) != L.SLOT_STATE_FREE:
        return L.NO_SLOTS
    incarnation: word = members.begin(arena, mine, slot, L.SLOT_STATE_ACTIVE, pid)
    store(arena, tables.slot_at(mine, slot) + L.SLOT_DESCRIPTORS, descriptors)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    mine[L.MINE_SLOT] = slot
    mine[L.MINE_INCARNATION] = incarnation
    mine[L.MINE_EPOCH] = incarnation & L.MASK_32
    return L.OK
