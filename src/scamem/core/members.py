"""Members: slots of the control file. A member is alive exactly while its byte is locked.

| from | to | function |
| --- | --- | --- |
| FREE | ACTIVE | transactions.join, by a process that has locked the slot's byte |
| FREE | FORKING | transactions.fork.begin, by the parent, which has locked the child's byte |
| FORKING | ACTIVE | transactions.fork.arrive, by the child |
| ACTIVE, FORKING | REAPING | transactions.reap.begin, by the member that found the byte unlocked |
| ACTIVE | FREE | transactions.leave, by the member itself, when nothing belongs to the slot |
| REAPING | FREE | transactions.reap.step, when nothing belongs to the slot any more |

FORKING is owned by the child's lock page: parent and child both have it until the parent's handler
drops its own. REAPING consists of transactions only; any member can continue it.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L
    from .store import tables
    from .store.journal import ensure, put
    from .store.words import Words, monotonic_ns, word


def state(arena: Words, mine: Words, slot: word) -> word:
    """Return a slot's state."""
    return arena[tables.slot_at(mine, slot) + L.SLOT_STATE] & L.MASK_8


def set_state(arena: Words, mine: Words, slot: word, old: word, new: word) -> None:
    """Move a slot along one edge of the table above."""
    place: word = tables.slot_at(mine, slot) + L.SLOT_STATE
    parent: word = mine[L.MINE_SLOT] if new == L.SLOT_STATE_FORKING else 0
    ensure(arena, arena[place] & L.MASK_8 == old)
    put(arena, place, new | parent << L.SLOT_PARENT_SHIFT)


def begin(arena: Words, mine: Words, slot: word, into: word, pid: word) -> word:
    """Make a FREE slot a new member's, ACTIVE or FORKING: its incarnation. No commit."""
    about: word = tables.slot_at(mine, slot)
    incarnation: word = arena[L.NEXT_INCARNATION]
    set_state(arena, mine, slot, L.SLOT_STATE_FREE, into)
    put(arena, L.NEXT_INCARNATION, incarnation + 1)
    put(arena, about + L.SLOT_INCARNATION, incarnation)
    put(arena, about + L.SLOT_PID, pid)
    put(arena, about + L.SLOT_JOINED_NS, monotonic_ns())
    if slot >= arena[L.SLOTS_NEXT]:
        put(arena, L.SLOTS_NEXT, slot + 1)
    return incarnation
