"""Lend an object while its handle travels, and load it at the other end, once.

State. A loan hangs on its lender's holder record and has an id that is never used again. While the
lender holds the object its loans cost nothing; when it lets go or dies the record, loans and all,
turns over to the arena in one step (hold.drop_record) with the second at which it did.

Steps. lend: a loan on one's own record. load: the loan, if it is still there, comes off its record
and this member's record is made or counted, in one transaction; without it the object must still
be held by somebody. A turned-over record goes with its last loan. expire: an old record in transit
that is the object's only one gives up its loans, one a transaction.

Why safe: load in two transactions would let the object go between them, or, dying between them,
hold it for ever. Taking the loan and keeping the object are one commit.

Who finishes: a loader that dies after the commit is reaped; before it, the loan is still there.
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


def expire(arena: Words, mine: Words, holder: word, grace_s: word) -> word:
    """Look at one record in transit; take one loan off it if it is due. Return the next to look at.

    Due: turned over at least grace_s ago, and nobody else holds the object. The record itself is
    returned while it has more loans; 0 is the end, also for a record that is gone.
    """
    if not tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
        return 0
    if holders.kind_of(arena, mine, holder) != L.HOLDER_TRANSIT:
        return 0
    place: word = holders.at(arena, mine, holder)
    newer: word = high(arena[place + L.HOLDER_SLOT_LINKS])
    first: word = low(arena[place + L.HOLDER_LOANS])
    if hold.seconds(arena) < high(arena[place + L.HOLDER_LOANS]) + grace_s:
        return newer
    obj: word = holders.object_of(arena, mine, holder)
    if objects.count(arena, mine, obj) != objects.in_transit(arena, mine, obj):
        return newer
    last: cython.bint = low(arena[loans.at(arena, mine, first) + L.LOAN_LINKS]) == 0
    take_loan(arena, mine, first)
    if journal.commit(arena) != L.OK:
        return 0
    return newer if last else holder
