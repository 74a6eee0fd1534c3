"""Lend an object while its handle travels, and load it at the other end, once.

State. A loan hangs on its lender's holder record and has an id that is never used again. When the
lender lets go or dies, the record, loans and all, turns over to the arena in one step
(hold.drop_record), with the second at which it did, rounded up. A loan is owed a grace: from when
it was lent, and again from when its record turned over.

Steps. lend: a loan on one's own record. load: the loan, if it is still there, comes off its record
and this member's record is made or counted, in one transaction; without it the object must still
be held by somebody. A turned-over record goes with its last loan. expire, when memory is wanted: a
record in transit that is the object's only one, its grace over, gives up its loans, one a
transaction. reclaim, when there are as many loans as there may be: one loan whose grace is over and
whose object is held without it comes off its record. Each member looks through the table in turns
of its own, so one that sends and sends finds the oldest first, and looks at each loan once a turn.

Why safe: load in two transactions would let the object go between them, or, dying between them,
hold it for ever. Taking the loan and keeping the object are one commit. reclaim ends no object: the
lender's record, which has counts, or another's stays, and a load goes by that. A lender that lets
go just after it is as one that let go after its loan was loaded. A record without counts is about
to turn over: its loans have their second grace before them, and are left alone. So are those of a
lender that is known to be dead: whoever reclaims has reaped before.

Who finishes: a loader that dies after the commit is reaped; before it, the loan is still there. A
place in the table is a member's own, and where it begins does not matter.

Tried and failed: keeping every loan of an object that is held. What is sent again and again, and
not always read, uses the last loan up, and nobody can send anything.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders, loans, objects
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.private import note_look, record_of, set_record
    from ..store.words import Words, high, low, monotonic_ns, word
    from . import free, hold


def lend(arena: Words, mine: Words, obj: word, loan_id: word) -> word:
    """Hang a loan on this member's record: its index; NOT_HELD, NO_LOANS or NO_RECORDS.

    A loan_id of 0 asks for a new one (read it from the record); another puts a loan back.
    """
    holder: word = record_of(mine, obj)
    if holder == 0:
        return L.NOT_HELD
    if loan_id == 0:
        if arena[L.LOANS_COUNT] >= arena[L.LOANS_LIMIT]:
            return L.NO_LOANS
        loan_id = arena[L.NEXT_LOAN_ID]
        journal.put(arena, L.NEXT_LOAN_ID, loan_id + 1)
    loan: word = loans.link(arena, mine, holder, loan_id, monotonic_ns())
    if loan >= L.STATUS:
        return journal.cancel(arena, loan)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return loan


def take_loan(arena: Words, mine: Words, loan: word) -> None:
    """Take a loan off its record; a record in transit goes with its last one. No commit."""
    holder: word = loans.unlink(arena, mine, loan)
    if holders.kind_of(arena, mine, holder) != L.HOLDER_TRANSIT:
        return
    if low(arena[holders.at(arena, mine, holder) + L.HOLDER_LOANS]) == 0:
        free.let_go(arena, mine, holder)


def load(
    arena: Words, mine: Words, obj: word, generation: word, loan: word, loan_id: word, by: word
) -> word:
    """Hold an object by its handle: OK, STALE, FULL or NO_RECORDS. Needs: lock held, I7."""
    if not objects.is_live(arena, mine, obj, generation):
        return L.STALE
    holder: word = record_of(mine, obj)
    lender: word = loans.holder_of(arena, mine, loan, loan_id)
    if holder == 0:
        holder = hold.own_record(arena, mine, obj)
        if holder >= L.STATUS:
            return journal.cancel(arena, holder)
    note_look(mine, obj)
    if not holders.add_count(arena, mine, holder, by):
        return journal.cancel(arena, L.FULL)
    if lender != 0 and holders.object_of(arena, mine, lender) == obj:
        take_loan(arena, mine, loan)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    set_record(mine, obj, holder)
    return L.OK


def cancel(arena: Words, mine: Words, loan: word, loan_id: word) -> word:
    """Take a loan back: OK, or NOT_FOUND if it was loaded or cancelled."""
    if loans.holder_of(arena, mine, loan, loan_id) == 0:
        return L.NOT_FOUND
    take_loan(arena, mine, loan)
    return journal.commit(arena)


def oldest(arena: Words, mine: Words) -> word:
    """Return the record that has been in transit longest, 0 if none is."""
    return high(arena[tables.slot_at(mine, L.SLOT_TRANSIT) + L.SLOT_HOLDERS])


def is_over(arena: Words, mine: Words, holder: word, grace_s: word) -> bool:
    """Tell whether a record has been in transit for the grace; without one, it always has."""
    second: word = high(arena[holders.at(arena, mine, holder) + L.HOLDER_LOANS])
    return grace_s == 0 or hold.seconds(arena) > second + grace_s


def expire(arena: Words, mine: Words, holder: word, grace_s: word) -> word:
    """Look at one record in transit; take one loan off it if it is due. Return the next to look at.

    Due: its grace is over, and nobody else holds the object. The record itself is returned while it
    has more loans; 0 is the end, for a record that is gone, and for one that is not due yet: those
    after it are younger.
    """
    if not tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
        return 0
    if holders.kind_of(arena, mine, holder) != L.HOLDER_TRANSIT:
        return 0
    place: word = holders.at(arena, mine, holder)
    newer: word = high(arena[place + L.HOLDER_SLOT_LINKS])
    first: word = low(arena[place + L.HOLDER_LOANS])
    if not is_over(arena, mine, holder, grace_s):
        return 0
    obj: word = holders.object_of(arena, mine, holder)
    if objects.count(arena, mine, obj) != objects.in_transit(arena, mine, obj):
        return newer
    last: cython.bint = low(arena[loans.at(arena, mine, first) + L.LOAN_LINKS]) == 0
    take_loan(arena, mine, first)
    if journal.commit(arena) != L.OK:
        return 0
    return newer if last else holder


def is_needed(arena: Words, mine: Words, loan: word, grace_s: word, now_ns: word) -> bool:
    """Tell whether a loan has its grace before it, or is all that keeps its object."""
    place: word = tables.place(mine, L.TABLE_LOANS, loan)
    lent_ns: word = arena[place + L.LOAN_LENT_NS]
    holder: word = arena[place + L.LOAN_HOLDER]
    if now_ns < lent_ns + grace_s * L.NS_PER_S:
        if lent_ns < mine[L.MINE_LOANS_SINCE]:
            mine[L.MINE_LOANS_SINCE] = lent_ns
        return True
    mine[L.MINE_LOANS_SINCE] = 0
    if not tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
        journal.ensure(arena, False)
        return True
    if holders.kind_of(arena, mine, holder) == L.HOLDER_MEMBER:
        return not holders.has_counts(arena, mine, holder)
    obj: word = holders.object_of(arena, mine, holder)
    if objects.count(arena, mine, obj) == objects.in_transit(arena, mine, obj):
        return True
    return not is_over(arena, mine, holder, grace_s)


def reclaim(arena: Words, mine: Words, grace_s: word) -> word:
    """Take back the next loan that is not needed: OK; MORE to look on; DONE at the table's end.

    Needs: the dead are reaped. At the end MINE_LOANS_OLDEST says that every loan was lent then or
    later; 0 if there is one that was due, and needed.
    """
    now_ns: word = monotonic_ns()
    left: word = L.LOANS_AT_ONCE
    found: word = L.MORE
    loan: word
    while found == L.MORE and left > 0:  # bound: LOANS_AT_ONCE
        left -= 1
        loan = mine[L.MINE_LOANS_NEXT]
        if not tables.valid(arena, mine, L.TABLE_LOANS, loan):
            mine[L.MINE_LOANS_OLDEST] = mine[L.MINE_LOANS_SINCE]
            mine[L.MINE_LOANS_SINCE] = now_ns
            loan = 0
            found = L.DONE
        elif arena[loans.at(arena, mine, loan) + L.LOAN_ID] != 0:
            if not is_needed(arena, mine, loan, grace_s, now_ns):
                take_loan(arena, mine, loan)
                found = L.OK
        mine[L.MINE_LOANS_NEXT] = loan + 1
    return found if journal.commit(arena) == L.OK else L.DAMAGED
