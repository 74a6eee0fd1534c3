"""Leave an arena: the last thing that this process does in it.

Steps, under the local lock: release the references that other threads left behind. If the arena's
lock is free at once, settle what the process has of queues and topics, and free the slot
(transactions/leave.py). Set MEMBER_CLOSED, so that no thread enters any more. Remove the arena from
the table that fork's handlers use. The caller unlocks the slot's byte, and only then unmaps.

Why safe. If the lock is taken, or a stack of drops is not empty, the slot stays ACTIVE and is
reaped once its byte is unlocked. A process does not leave while it holds anything, nor while one of
its threads changes a section or cleans: with the slot given up, others would finish its work, and
its late punch would hit their frames. Such work begins under the local lock, so it can be checked
here. Nor does it leave while a thread has given up the local lock in between (MINE_BUSY): the words
would be unmapped under that thread.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders
    from ..frames import sections
    from ..store import layout as L
    from ..store import lock
    from ..store.words import Words, word
    from ..transactions import leave, settle
    from . import entering, letting_go, local_lock
    from .host import table


def is_idle(arena: Words, mine: Words) -> bool:
    """Tell whether this member holds nothing and no thread of it works here. Local lock held."""
    if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        return False
    if mine[L.MINE_BUSY] != 0 or mine[L.MINE_CLEANING] != 0:
        return False
    if holders.count_of(arena, mine, mine[L.MINE_SLOT]) != 0:
        return False
    return sections.owned(arena, mine) >= L.STATUS


def free_slot(arena: Words, mine: Words) -> None:
    """Free this member's slot, if nothing belongs to it and the lock is free at once."""
    left: word = L.REAPED_AT_ONCE
    if lock.try_lock(arena, mine[L.MINE_SLOT]) == L.OK:
        entering.arrive(arena, mine)
        while left > 0 and settle.step(arena, mine, mine[L.MINE_SLOT]) == L.MORE:
            left -= 1
        leave.leave(arena, mine)
        letting_go.unlock_arena(arena, mine)


def close(arena: Words, mine: Words) -> bool:
    """Close the arena if nothing of it is held; False, with nothing changed, if something is."""
    local_lock.lock()
    letting_go.drain()
    if not is_idle(arena, mine):
        letting_go.release()
        return False
    mine[L.MINE_STATUS] = L.MEMBER_CLOSED
    free_slot(arena, mine)
    table.forget(mine)
    letting_go.release()
    return True
