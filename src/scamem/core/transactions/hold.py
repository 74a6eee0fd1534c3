"""Hold an object and let go of it: counts by oneself, records under the arena's lock.

State. A member's counts for an object live in its holder record (holders.py); its private table
names the record while the counts are not all 0 (private.py).

Steps. A first hold finds or makes the record under the arena's lock; more holds, and all but the
last letting go, change the counts alone, under the process-local lock. The last one sets the
counts to 0, clears the private entry, and drops the record in a transaction. Where that cannot
wait for the arena's lock (a deallocation), the record goes on the slot's stack of drops and the
flag DROPS asks whoever holds the lock to empty it before unlocking.

The stack: only its member pushes, only a holder of the arena's lock pops, so a pop by
compare-exchange of the head cannot meet the same head twice. A popper first names the record in
DRAINING, then pops, clears the record's link, and only then looks at its counts; the member sets
its counts to 0, then looks whether the link says "on a stack". Each side's store is before its
load (a fence between), so one of them sees the other's, and the record is dropped by one.

Why safe: a popper that dies between pop and drop left the record's number in DRAINING; who takes
the lock over finishes it. A member that dies is reaped, counts and stack or not. After a record
is revived (counts not 0) it is skipped wherever it still hangs.

Tried and failed: emptying the stack before clearing DROPS loses a record pushed between the two.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders, objects
    from ..store import journal, lock, tables
    from ..store import layout as L
    from ..store.private import record_of, set_record
    from ..store.words import Words, compare_exchange, fence, low, monotonic_ns, pair, store, word
    from . import free


def add(arena: Words, mine: Words, obj: word, by: word) -> word:
    """Hold once more what this member holds already: OK, NOT_HELD, or FULL. No arena lock."""
    holder: word = record_of(mine, obj)
    if holder == 0:
        return L.NOT_HELD
    return L.OK if holders.add_count(arena, mine, holder, by) else L.FULL


def subtract(arena: Words, mine: Words, obj: word, by: word) -> word:
    """Let go once. The record's index if that was the last hold and it must be dropped, else 0."""
    holder: word = record_of(mine, obj)
    if holder == 0 or not holders.subtract_count(arena, mine, holder, by):
        return 0
    set_record(mine, obj, 0)
    return holder


def own_record(arena: Words, mine: Words, obj: word) -> word:
    """Return this member's record on an object's list, made if there is none; no commit."""
    holder: word = holders.find(arena, mine, obj, mine[L.MINE_SLOT])
    if holder != 0:
        return holder
    return holders.link(arena, mine, obj, mine[L.MINE_SLOT], L.HOLDER_MEMBER)


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
    """Drop a member's record that stands for nothing any more; OK also if it was revived.

    Needs: lock held, journal empty. Whoever drops the last record goes on with free_some().
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
    """Leave a record without counts to whoever holds the arena's lock. Needs: local lock held."""
    about: word = holders.slot_at(mine, mine[L.MINE_SLOT])
    place: word = tables.place(mine, L.TABLE_HOLDERS, holder)
    head: word
    fence()  # the counts' 0 is seen by whoever clears the link after this load
    if arena[place + L.HOLDER_DROPS] == 0:
        while True:  # bound: a retry only when a popper took one
            head = arena[about + L.SLOT_DROPS]
            store(arena, place + L.HOLDER_DROPS, head if head != 0 else L.DROPS_END)
            if compare_exchange(arena, about + L.SLOT_DROPS, head, holder):
                break
    lock.set_drops(arena)


def drain_one(arena: Words, mine: Words, slot: word) -> word:
    """Take one record off a slot's stack and drop it: MORE, or DONE when the stack is empty."""
    about: word = holders.slot_at(mine, slot)
    holder: word = arena[about + L.SLOT_DROPS]
    following: word
    if holder == 0:
        return L.DONE
    if not tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
        journal.ensure(arena, False)
        return journal.commit(arena)
    following = arena[tables.place(mine, L.TABLE_HOLDERS, holder) + L.HOLDER_DROPS]
    store(arena, L.DRAINING, pair(holder, slot))
    if not compare_exchange(
        arena, about + L.SLOT_DROPS, holder, following if following != L.DROPS_END else 0
    ):
        store(arena, L.DRAINING, 0)
        return L.MORE
    return recover_drain(arena, mine)


def recover_drain(arena: Words, mine: Words) -> word:
    """Finish with the record named in DRAINING, if it is off its stack; MORE or DAMAGED."""
    holder: word = low(arena[L.DRAINING])
    about: word = holders.slot_at(mine, arena[L.DRAINING] >> L.SHIFT_32)
    status: word = L.OK
    if holder != 0 and arena[about + L.SLOT_DROPS] != holder:
        store(arena, tables.at(arena, mine, L.TABLE_HOLDERS, holder) + L.HOLDER_DROPS, 0)
        fence()  # the link's 0 is seen by a member that sets its counts to 0 after this load
        status = put_holder(arena, mine, holder)
    store(arena, L.DRAINING, 0)
    return L.MORE if status == L.OK else status


def drain(arena: Words, mine: Words) -> word:
    """Drop at most DROPS_AT_ONCE records that others left; DONE, MORE, or DAMAGED."""
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
    """Unlock, after dropping what others asked for; MORE if somebody should come back for more."""
    status: word = L.OK
    if lock.clear_drops(arena) != 0:
        status = drain(arena, mine)
    if lock.unlock(arena) != 0:
        status = L.MORE
    return status
