"""Lend an object while its handle travels, and load it at the other end, once.

State. A loan is on its lender's holder record and has an id that is never used again. When the
lender lets go or dies, the record turns over to the arena with its loans, in one step
(hold.drop_record), and notes the second, rounded up. A loan has a grace period: from the time it
was lent, and again from the time its record turned over.

Steps. lend: puts a loan on the member's own record. load: if the loan is still there, takes it off
its record and makes or counts this member's record, in one transaction; if not, some other holder
must still hold the object. A turned-over record goes with its last loan. expire, when memory is
needed: a record in transit whose grace is over, and that is the object's only one, gives up its
loans, one per transaction. reclaim, when there are as many loans as allowed: takes one loan off its
record, whose grace is over and whose object is held without it. Each member goes through the table
at its own pace, so one that sends repeatedly finds the oldest first, and looks at each once a turn.

Why safe: a load in two transactions would let the object end between them or, if the loader died
between them, hold it for ever. Taking the loan and keeping the object are one commit. reclaim ends
no object: the lender's record, which has counts, or another one stays, and a load goes by that. A
lender that lets go just after it is like one that lets go after its loan was loaded. A record
without counts is about to turn over: its loans have their second grace before them, and are left
alone. So are those of a lender that is known to be dead: the caller of reclaim has reaped before.

Who finishes: a loader that dies after the commit is reaped; before it, the loan is still there. The
place in the table is the member's own, and it does not matter where it starts.

Tried and failed: keeping every loan of an object that is held. A program that sends the same object
repeatedly, and does not always read it, uses up all loans, and then nobody can send anything.
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
    """Put a loan on this member's record: its index; NOT_HELD, NO_LOANS or NO_RECORDS.

    A loan_id of 0 makes a new id (read it from the record); any other puts a loan back.
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
    """Tell whether a record has been in transit for the grace period; with grace 0, always."""
    second: word = high(arena[holders.at(arena, mine, holder) + L.HOLDER_LOANS])
    return grace_s == 0 or hold.seconds(arena) > second + grace_s


def expire(arena: Words, mine: Words, holder: word, grace_s: word) -> word:
    """Look at one record in transit; take one loan off it if it is due. Return the next to look at.

    Due: its grace is over, and nobody else holds the object. The record itself is returned while it
    has more loans. 0 means the end: the record is gone, or it is not due yet, and those after it
    are younger.
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
    if not objects.is_left_to_loans(arena, mine, obj):
        return newer
    last: cython.bint = low(arena[loans.at(arena, mine, first) + L.LOAN_LINKS]) == 0
    take_loan(arena, mine, first)
    if journal.commit(arena) != L.OK:
        return 0
    return newer if last else holder


def is_needed(arena: Words, mine: Words, loan: word, grace_s: word, now_ns: word) -> bool:
    """Tell whether the grace of a loan is not over, or only the loan keeps its object."""
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
    if objects.is_left_to_loans(arena, mine, obj):
        return True
    return not is_over(arena, mine, holder, grace_s)


def reclaim(arena: Words, mine: Words, grace_s: word) -> word:
    """Take back the next loan that is not needed: OK; MORE to continue; DONE at the table's end.

    Needs: the dead are reaped. At the end, MINE_LOANS_OLDEST is a time: every loan was lent then or
    later. It is 0 if one was due, but needed.
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
