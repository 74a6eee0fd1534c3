"""Loans: what keeps an object alive while its handle travels. They are on the lender's record.

A loan's id is never used again, so old bytes cannot take a newer loan: a free record's id is 0.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L
    from .store import tables
    from .store.journal import ensure, put
    from .store.words import Words, high, low, pair, word


def at(arena: Words, mine: Words, loan: word) -> word:
    """Return the place of a loan's record; that of record 0 for an invalid index."""
    return tables.at(arena, mine, L.TABLE_LOANS, loan)


def holder_of(arena: Words, mine: Words, loan: word, loan_id: word) -> word:
    """Return the record that a loan is on, 0 if it was taken; any numbers may be passed."""
    if loan_id == 0 or not tables.valid(arena, mine, L.TABLE_LOANS, loan):
        return 0
    place: word = tables.place(mine, L.TABLE_LOANS, loan)
    return arena[place + L.LOAN_HOLDER] if arena[place + L.LOAN_ID] == loan_id else 0


def link(arena: Words, mine: Words, holder: word, loan_id: word, now_ns: word) -> word:
    """Put a new loan on a record: its index, or NO_RECORDS. Stores: at most 8 words."""
    loan: word = tables.take(arena, mine, L.TABLE_LOANS)
    if loan >= L.STATUS:
        return loan
    place: word = tables.place(mine, L.TABLE_LOANS, loan)
    head: word = tables.at(arena, mine, L.TABLE_HOLDERS, holder) + L.HOLDER_LOANS
    first: word = low(arena[head])
    put(arena, place + L.LOAN_ID, loan_id)
    put(arena, place + L.LOAN_HOLDER, holder)
    put(arena, place + L.LOAN_LENT_NS, now_ns)
    put(arena, place + L.LOAN_LINKS, first)
    if first != 0:
        links: word = at(arena, mine, first) + L.LOAN_LINKS
        put(arena, links, pair(low(arena[links]), loan))
    put(arena, head, pair(loan, high(arena[head])))
    put(arena, L.LOANS_COUNT, arena[L.LOANS_COUNT] + 1)
    return loan


def unlink(arena: Words, mine: Words, loan: word) -> word:
    """Take a loan off its lender's record; return that record. Stores: at most 7 words."""
    place: word = at(arena, mine, loan)
    holder: word = arena[place + L.LOAN_HOLDER]
    head: word = tables.at(arena, mine, L.TABLE_HOLDERS, holder) + L.HOLDER_LOANS
    following: word = low(arena[place + L.LOAN_LINKS])
    before: word = high(arena[place + L.LOAN_LINKS])
    links: word
    if before != 0:
        links = at(arena, mine, before) + L.LOAN_LINKS
        put(arena, links, pair(following, high(arena[links])))
    else:
        ensure(arena, low(arena[head]) == loan)
        put(arena, head, pair(following, high(arena[head])))
    if following != 0:
        links = at(arena, mine, following) + L.LOAN_LINKS
        put(arena, links, pair(low(arena[links]), before))
    put(arena, place + L.LOAN_ID, 0)
    put(arena, L.LOANS_COUNT, arena[L.LOANS_COUNT] - 1)
    tables.give(arena, mine, L.TABLE_LOANS, loan)
    return holder
