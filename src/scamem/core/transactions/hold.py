"""Hold an object and let go of it: counts by the member alone, records under the arena's lock.

State. A member's counts for an object are in its holder record (holders.py). Its private table
names the record while the counts are not all 0 (private.py).

Steps. A first hold finds or makes the record under the arena's lock. Later holds, and every release
but the last, change only the counts, under the process-local lock. The last release sets the counts
to 0, clears the private entry, and drops the record in a transaction. A release that cannot wait
for the arena's lock (a deallocation) pushes the record on the slot's stack of drops, and the flag
DROPS asks the lock's holder to empty the stack before it unlocks.

The stack. Only its member pushes, and only records whose counts it has just set to 0. Only a holder
of the arena's lock pops, one by one. SLOT_DROPS counts the pops, so a popper's exchange fails only
because of a push, and it shows whether a dead popper has popped: DRAINING has the record and the
count before. A record on a stack has no counts until it is popped. A member that wants the object
again meanwhile gets a new record; what is left of the old one (nothing, or its loans, which are in
transit from then on) goes when it is popped. So no number is ever on two stacks, or both on a stack
and in use.

Why safe. A popper that dies before its exchange has changed nothing. If it dies after it, the
member that takes the lock over reads the record from DRAINING, clears its link, and drops it, or
gives it back if it was already dropped. Twice has the effect of once: a record without counts is
dropped, any other is left. A member that dies is reaped, whether or not it has counts and a stack.

Tried and failed. Emptying the stack before clearing DROPS loses a record pushed between the two.
Letting a record on the stack have counts again: the popper clears its link and sees no counts, the
member sets the last one to 0 and sees no link; both act, the number is used again while it is on
the stack, and the records below it are lost. Telling from the stack's top alone whether a dead
popper had popped: a push on top of the record looks like a pop, and cuts the stack in two.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders, objects
    from ..store import journal, lock, tables
    from ..store import layout as L
    from ..store.private import note_look, record_of, set_record
    from ..store.words import (
        Words,
        compare_exchange,
        high,
        load_acquire,
        low,
        monotonic_ns,
        pair,
        store,
        word,
    )
    from . import free


def add(arena: Words, mine: Words, obj: word, by: word) -> word:
    """Hold again an object that this member holds: OK, NOT_HELD, or FULL. No arena lock."""
    holder: word = record_of(mine, obj)
    if holder == 0:
        return L.NOT_HELD
    if by != L.BY_HAND:
        note_look(mine, obj)
    return L.OK if holders.add_count(arena, mine, holder, by) else L.FULL


def subtract(arena: Words, mine: Words, obj: word, by: word) -> word:
    """Let go once. Returns the record to drop if that was its last hold, else 0."""
    holder: word = record_of(mine, obj)
    if holder == 0 or not holders.subtract_count(arena, mine, holder, by):
        return 0
    set_record(mine, obj, 0)
    return holder


def own_record(arena: Words, mine: Words, obj: word) -> word:
    """Return this member's record on an object's list; make one if there is none. No commit.

    A record that waits on the drop stack is dropped here, after the new one is linked (I3).
    """
    holder: word = holders.find(arena, mine, obj, mine[L.MINE_SLOT])
    if holder != 0 and arena[holders.at(arena, mine, holder) + L.HOLDER_DROPS] == 0:
        return holder
    record: word = holders.link(arena, mine, obj, mine[L.MINE_SLOT], L.HOLDER_MEMBER)
    if holder != 0 and record < L.STATUS:
        drop_record(arena, mine, holder)
    return record


def first(arena: Words, mine: Words, obj: word, generation: word, by: word) -> word:
    """Hold an object: OK, STALE, or NO_RECORDS. Needs: lock held, journal empty (I7)."""
    if not objects.is_live(arena, mine, obj, generation):
        return L.STALE
    if record_of(mine, obj) != 0:
        return add(arena, mine, obj, by)
    holder: word = own_record(arena, mine, obj)
    if holder >= L.STATUS:
        return journal.cancel(arena, holder)
    holders.add_count(arena, mine, holder, by)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    set_record(mine, obj, holder)
    return L.OK


def seconds(arena: Words) -> word:
    """Return the seconds since the arena was made, by CLOCK_MONOTONIC; at least 1."""
    return (monotonic_ns() - arena[L.HEADER_CREATED_NS]) // L.NS_PER_S + 1


def drop_record(arena: Words, mine: Words, holder: word) -> None:
    """Drop a member's record, or turn it over to the arena if loans hang on it; no commit."""
    if low(arena[holders.at(arena, mine, holder) + L.HOLDER_LOANS]) != 0:
        journal.put(arena, L.LOANS_ORPHANED, arena[L.LOANS_ORPHANED] + 1)
        holders.turn_over(arena, mine, holder, seconds(arena))
        return
    free.let_go(arena, mine, holder)


def put_holder(arena: Words, mine: Words, holder: word) -> word:
    """Drop a member's record that has no counts any more; OK also if it was revived.

    Needs: lock held, journal empty. A caller that drops the last record continues with free_some().
    """
    if not tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
        return L.OK
    if holders.kind_of(arena, mine, holder) != L.HOLDER_MEMBER:
        return L.OK
    if holders.has_counts(arena, mine, holder):
        return L.OK
    drop_record(arena, mine, holder)
    return journal.commit(arena)


def defer(arena: Words, mine: Words, holder: word) -> None:
    """Leave a record without counts to the holder of the arena's lock. Needs: local lock held."""
    top: word = tables.slot_at(mine, mine[L.MINE_SLOT]) + L.SLOT_DROPS
    link: word = tables.place(mine, L.TABLE_HOLDERS, holder) + L.HOLDER_DROPS
    seen: word
    while True:  # bound: a retry only when a popper took one
        seen = arena[top]
        store(arena, link, low(seen) if low(seen) != 0 else L.DROPS_END)
        if compare_exchange(arena, top, seen, pair(holder, high(seen))):
            break
    lock.set_drops(arena)


def drain_one(arena: Words, mine: Words, slot: word) -> word:
    """Take one record off a slot's stack and drop it: MORE, or DONE when the stack is empty."""
    top: word = tables.slot_at(mine, slot) + L.SLOT_DROPS
    seen: word = load_acquire(arena, top)
    holder: word = low(seen)
    following: word
    if holder == 0:
        return L.DONE
    if not tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
        journal.ensure(arena, False)
        return journal.commit(arena)
    following = arena[tables.place(mine, L.TABLE_HOLDERS, holder) + L.HOLDER_DROPS]
    if following == L.DROPS_END:
        following = 0
    store(arena, L.DRAINING, pair(holder, slot) | high(seen) << L.DRAINING_POPS_SHIFT)
    if not compare_exchange(arena, top, seen, pair(following, high(seen) + 1 & L.MASK_32)):
        store(arena, L.DRAINING, 0)
        return L.MORE
    return recover_drain(arena, mine)


def recover_drain(arena: Words, mine: Words) -> word:
    """Finish with the record named in DRAINING, if it is off its stack; MORE or DAMAGED."""
    holder: word = low(arena[L.DRAINING])
    slot: word = arena[L.DRAINING] >> L.SHIFT_32 & L.MASK_16
    pops: word = high(arena[tables.slot_at(mine, slot) + L.SLOT_DROPS]) & L.MASK_16
    status: word = L.OK
    if holder != 0 and pops != arena[L.DRAINING] >> L.DRAINING_POPS_SHIFT:
        store(arena, tables.at(arena, mine, L.TABLE_HOLDERS, holder) + L.HOLDER_DROPS, 0)
        if holders.kind_of(arena, mine, holder) == L.HOLDER_DROPPED:
            holders.give_dropped(arena, mine, holder)
            status = journal.commit(arena)
        else:
            status = put_holder(arena, mine, holder)
    store(arena, L.DRAINING, 0)
    return L.MORE if status == L.OK else status


def drain(arena: Words, mine: Words) -> word:
    """Drop at most DROPS_AT_ONCE records that other members left; DONE, MORE, or DAMAGED."""
    slot: word = L.SLOT_FIRST
    left: word = L.DROPS_AT_ONCE
    status: word
    if arena[L.DRAINING] != 0:
        recover_drain(arena, mine)
    while slot < arena[L.SLOTS_NEXT] and slot < mine[L.MINE_SLOTS_MAX]:  # bound: the slots
        status = drain_one(arena, mine, slot)
        if status == L.DAMAGED:
            return status
        if status == L.DONE:
            slot += 1
        else:
            left -= 1
        if left == 0:
            lock.set_drops(arena)
            return L.MORE
    return L.DONE


def leave(arena: Words, mine: Words) -> word:
    """Unlock, after dropping the records that others left; MORE if the caller should come back."""
    status: word = L.OK
    if lock.clear_drops(arena) != 0:
        status = drain(arena, mine)
    if lock.unlock(arena) != 0:
        status = L.MORE
    return status
