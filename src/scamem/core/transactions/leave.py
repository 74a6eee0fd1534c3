"""Leave an arena: a member that has nothing left in it frees its own slot.

State. The slot is ACTIVE, and this process has locked its byte. Nothing belongs to the slot: no
holder record, no stack of drops, no consumer record (settle.py), no section that it changes, no
object that it cleans.

Steps. leave: ACTIVE -> FREE. The arena's lock is given up; the caller unlocks the byte, and only
then unmaps.

Why safe, by where the member dies. Before the commit: the slot is ACTIVE and is reaped, like that
of every dead member. After it: nothing is left to do. The byte stays locked longer than the slot is
in use. A joiner that finds the slot FREE and the byte locked takes another slot (join.py). A
process that has locked the byte knows that nobody acts in the slot's name any more. In between,
this member only gives up the lock, which may empty the drop stacks of others. If it dies there, it
leaves a lock word that names the slot; a waiter, or the next process to lock the byte, takes over.

Who finishes: nobody has to. If the lock is not free at once, or something belongs to the slot, the
slot stays ACTIVE, the byte is unlocked, and the slot is reaped.

Tried and failed: unlocking the byte first. A waiter takes the lock over from a holder that is still
inside, or the slot belongs to another process before it is FREE.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import members
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.words import Words, low, word


def leave(arena: Words, mine: Words) -> word:
    """Free this member's slot: OK, or IN_USE if anything belongs to it. Needs: lock held, I7."""
    slot: word = mine[L.MINE_SLOT]
    about: word = tables.slot_at(mine, slot)
    if members.state(arena, mine, slot) != L.SLOT_STATE_ACTIVE:
        return L.IN_USE
    if arena[about + L.SLOT_HOLDERS] != 0 or arena[about + L.SLOT_HOLDERS_COUNT] != 0:
        return L.IN_USE
    if low(arena[about + L.SLOT_DROPS]) != 0 or arena[about + L.SLOT_CONSUMERS] != 0:
        return L.IN_USE
    if arena[L.CHANGING] != 0 and arena[L.CHANGING] >> L.SHIFT_32 == slot:
        return L.IN_USE
    if arena[L.CLEANING] != 0 and arena[L.CLEANING] >> L.SHIFT_32 == slot:
        return L.IN_USE
    members.set_state(arena, mine, slot, L.SLOT_STATE_ACTIVE, L.SLOT_STATE_FREE)
    return journal.commit(arena)
