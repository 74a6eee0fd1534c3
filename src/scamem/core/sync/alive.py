"""Whether the member that a claim names still lives.

Why safe without the arena's lock: a member locks its slot's byte before its incarnation is stored
there, and unlocks it only by dying or leaving; incarnations do not repeat in 32 bits of joins. So
if the slot has the claim's incarnation first, and an unlocked byte afterwards, the member is gone.
If the slot has another incarnation, it is gone as well. A byte that the slot's next member has
locked meanwhile delays the answer to the next look.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..procedures.host import table
    from ..store import layout as L
    from ..store import tables
    from ..store.words import Words, load_acquire, word


def claim(mine: Words) -> word:
    """Return this member's claim."""
    return mine[L.MINE_SLOT] | (mine[L.MINE_INCARNATION] & L.MASK_32) << L.SHIFT_32


def lives(arena: Words, mine: Words, who: word) -> bool:
    """Tell whether the member of a claim lives; True if that cannot be found out."""
    slot: word = who & L.MASK_16
    if slot == mine[L.MINE_SLOT]:
        return who >> L.SHIFT_32 == mine[L.MINE_INCARNATION] & L.MASK_32
    if slot < L.SLOT_FIRST or slot >= mine[L.MINE_SLOTS_MAX]:
        return False
    about: word = tables.slot_at(mine, slot)
    if load_acquire(arena, about + L.SLOT_INCARNATION) & L.MASK_32 != who >> L.SHIFT_32:
        return False
    state: word = load_acquire(arena, about + L.SLOT_STATE) & L.MASK_8
    if state != L.SLOT_STATE_ACTIVE and state != L.SLOT_STATE_FORKING:
        return False
    return table.probe(mine, slot) != 0
