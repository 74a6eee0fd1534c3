"""Reap a dead member: drop what its slot holds, record by record, until the slot is free again.

Steps. begin: ACTIVE or FORKING -> REAPING, by the member that found the slot's byte unlocked *while
it held the arena's lock*. step: empties its stack of drops, one record per transaction; then
settles what it has of queues and topics (settle.py); then drops the newest record of its list (or
turns it over, if it has loans), one per transaction. If the record counts I/O under way, its object
is TAINTED before that. When no record is left, the section that the member was changing and the
object that it was cleaning are reset, and the slot is FREE.

Why safe: a joiner takes only FREE slots, so a slot found dead stays dead until the last step. Any
member may continue after any other. Dropping a record of an ALLOCATING object makes that object
DYING (free.let_go). Its owner can no longer store to its frames: the byte is unlocked only after
the owner's last thread has left user code.

Tried and failed: probing before taking the lock reaps the slot's next owner.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders, members, objects
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.words import Words, low, store, word
    from . import clean, hold, online, settle


def is_reapable(arena: Words, mine: Words, slot: word) -> bool:
    """Tell whether a slot is in use; if its byte is unlocked then, its member is dead."""
    return members.state(arena, mine, slot) != L.SLOT_STATE_FREE


def needs_taint(arena: Words, mine: Words, holder: word) -> bool:
    """Tell whether a dead member's I/O may still reach an object that is not marked yet."""
    if not holders.has_io(arena, mine, holder):
        return False
    obj: word = holders.object_of(arena, mine, holder)
    return objects.flags(arena, mine, obj) & L.OBJECT_TAINTED == 0


def begin(arena: Words, mine: Words, slot: word) -> word:
    """Mark a dead member's slot. Needs: lock held, and its byte found unlocked since."""
    state: word = members.state(arena, mine, slot)
    if state == L.SLOT_STATE_FREE or state == L.SLOT_STATE_REAPING:
        return L.OK
    members.set_state(arena, mine, slot, state, L.SLOT_STATE_REAPING)
    journal.put(arena, L.REAPED_MEMBERS, arena[L.REAPED_MEMBERS] + 1)
    return journal.commit(arena)


def step(arena: Words, mine: Words, slot: word) -> word:
    """Drop one record of a REAPING slot: MORE; or free the slot: DONE."""
    if members.state(arena, mine, slot) != L.SLOT_STATE_REAPING:
        return L.DONE
    about: word = tables.slot_at(mine, slot)
    holder: word = low(arena[about + L.SLOT_HOLDERS])
    if low(arena[about + L.SLOT_DROPS]) != 0:
        return hold.drain_one(arena, mine, slot)
    if arena[about + L.SLOT_CONSUMERS] != 0:
        return settle.step(arena, mine, slot)
    if holder != 0:
        if not tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
            journal.ensure(arena, False)
            return journal.commit(arena)
        if needs_taint(arena, mine, holder):
            # Its own transaction: the next clears the counts, which a roll-back does not restore.
            objects.set_flag(arena, mine, holders.object_of(arena, mine, holder), L.OBJECT_TAINTED)
            return L.MORE if journal.commit(arena) == L.OK else L.DAMAGED
        # The stack is empty; its member may have died while it pushed this record.
        store(arena, holders.at(arena, mine, holder) + L.HOLDER_DROPS, 0)
        hold.drop_record(arena, mine, holder)
        journal.put(arena, L.REAPED_HOLDERS, arena[L.REAPED_HOLDERS] + 1)
        return L.MORE if journal.commit(arena) == L.OK else L.DAMAGED
    if arena[L.CHANGING] != 0 and arena[L.CHANGING] >> L.SHIFT_32 == slot:
        online.reset(arena, mine)
    if arena[L.CLEANING] != 0 and arena[L.CLEANING] >> L.SHIFT_32 == slot:
        clean.reset(arena, mine)
    journal.ensure(arena, arena[about + L.SLOT_HOLDERS_COUNT] == 0)
    members.set_state(arena, mine, slot, L.SLOT_STATE_REAPING, L.SLOT_STATE_FREE)
    return L.DONE if journal.commit(arena) == L.OK else L.DAMAGED
