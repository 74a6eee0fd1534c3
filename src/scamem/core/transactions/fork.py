"""Fork: the child starts with its own record for each object that its parent holds.

Steps. In the parent's prepare handler, under the process-local lock, which it took first: the
caller locks the child's byte and maps its page (inherited). begin: FREE -> FORKING, with a new
incarnation. copy, once per record: makes a record for the child with the parent's counts, and the
child's private entry. Only then are the mappings opened to the child. In the child's handler,
become: turns the private words into the child's. At the child's first transaction, arrive:
FORKING -> ACTIVE, with the child's pid.

Why safe: the records exist before the child does, and the child's byte is locked before the records
are made, so a reaper finds the slot locked. If the fork fails or the child dies, the byte is
unlocked once the parent's handler has dropped its page, and the slot is reaped. Parent and child
never store the same counts: each has its own records.

Not copied: objects that are still ALLOCATING (their owner is one process; the child's step on one
returns NOT_OWNER), loans (they belong to the parent), and records without counts.

Tried and failed: making the records before the lock page lets a reaper take the slot. Copying
without the local lock left the child with frames that no record held for it.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders, members, objects
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.private import become_child, is_copied, set_child_record
    from ..store.words import Words, high, store, word


def begin(arena: Words, mine: Words, slot: word) -> word:
    """Make a slot the child's: OK, or NO_SLOTS. Needs: its byte is locked, lock held."""
    if members.state(arena, mine, slot) != L.SLOT_STATE_FREE:
        return L.NO_SLOTS
    members.begin(arena, mine, slot, L.SLOT_STATE_FORKING, 0)
    store(
        arena,
        tables.slot_at(mine, slot) + L.SLOT_DESCRIPTORS,
        arena[tables.slot_at(mine, mine[L.MINE_SLOT]) + L.SLOT_DESCRIPTORS],
    )
    return journal.commit(arena)


def oldest(arena: Words, mine: Words) -> word:
    """Return the first of this member's records to copy, 0 if it has none."""
    return high(arena[tables.slot_at(mine, mine[L.MINE_SLOT]) + L.SLOT_HOLDERS])


def copy(arena: Words, mine: Words, slot: word, holder: word) -> word:
    """Copy one record for the child: the next to copy, 0 at the end, NO_RECORDS, or AGAIN.

    AGAIN: start with the oldest once more; records that are already copied are skipped.
    """
    if not tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
        return L.DAMAGED
    if holders.slot_of(arena, mine, holder) != mine[L.MINE_SLOT]:
        return L.AGAIN  # it had no counts, and another member dropped it meanwhile
    place: word = holders.at(arena, mine, holder)
    obj: word = holders.object_of(arena, mine, holder)
    newer: word = high(arena[place + L.HOLDER_SLOT_LINKS])
    incarnation: word = arena[tables.slot_at(mine, slot) + L.SLOT_INCARNATION]
    if objects.state(arena, mine, obj) != L.OBJECT_STATE_LIVE:
        return newer
    if not holders.has_counts(arena, mine, holder):
        return newer
    if is_copied(mine, obj, incarnation & L.MASK_32):
        return newer
    record: word = holders.link(arena, mine, obj, slot, L.HOLDER_MEMBER)
    if record >= L.STATUS:
        return journal.cancel(arena, record)
    new: word = holders.at(arena, mine, record)
    store(arena, new + L.HOLDER_COUNTS, arena[place + L.HOLDER_COUNTS])
    store(arena, new + L.HOLDER_PINS, arena[place + L.HOLDER_PINS])
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    set_child_record(mine, obj, record, incarnation & L.MASK_32)
    return newer


def become(arena: Words, mine: Words, slot: word) -> None:
    """Turn the private words into the child's, in the child. No lock."""
    become_child(mine, slot, arena[tables.slot_at(mine, slot) + L.SLOT_INCARNATION])


def arrive(arena: Words, mine: Words, pid: word) -> word:
    """Store the pid of the child. Needs: lock held."""
    slot: word = mine[L.MINE_SLOT]
    if members.state(arena, mine, slot) != L.SLOT_STATE_FORKING:
        return L.OK
    members.set_state(arena, mine, slot, L.SLOT_STATE_FORKING, L.SLOT_STATE_ACTIVE)
    journal.put(arena, tables.slot_at(mine, slot) + L.SLOT_PID, pid)
    return journal.commit(arena)
