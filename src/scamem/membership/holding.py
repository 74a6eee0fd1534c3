"""An object's holders: its list of holder records, copied as of one moment."""

import cython
from cython.cimports.scamem.core import holders
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import Words, high, low, word
from cython.cimports.scamem.membership.membership import Membership


def holders_of(member: Membership, index: word) -> list[tuple[int, int, int, int, int, int]]:
    """Return (slot, kind, counts, pins, area, loans) for each record on an object's list.

    The list is copied at once under the arena's lock, into a buffer allocated before: some
    nanoseconds per record. If the list grew in between, a larger buffer is used and the copy
    repeated. A record's loans, which can be millions, are counted afterwards without the lock.
    """
    found = []
    member.check_active()
    if not tables.valid(member.arena, member.mine, L.TABLE_OBJECTS, index):
        return found
    k: word
    count: word
    room: word
    while True:
        member.check_active()
        room = count_records(member.arena, member.mine, index) + SLACK
        buffer = bytearray(room * COPIED_WORDS * L.WORD_BYTES)
        address: cython.p_char = buffer
        into: Words = cython.cast(Words, address)
        member.begin()
        count = copy_list(member.arena, member.mine, index, into, room)
        member.end()
        if count <= room:
            break
    member.check_active()
    for k in range(count):
        at: word = COPIED_WORDS * k
        into[at + 5] = count_loans(member.arena, member.mine, into[at + 5])
        found.append(tuple([into[at + n] for n in range(COPIED_WORDS)]))
    return found


def copy_list(arena: Words, mine: Words, obj: word, into: Words, room: word) -> word:
    """Copy an object's records to a buffer; return their number. Copy none if it exceeds `room`."""
    holder: word = low(arena[tables.place(mine, L.TABLE_OBJECTS, obj) + L.OBJECT_HOLDERS])
    most: word = count_records(arena, mine, obj)
    count: word = 0
    if most > room:
        return most
    while count < most and tables.valid(arena, mine, L.TABLE_HOLDERS, holder):
        if holders.object_of(arena, mine, holder) != obj:
            return count  # a damaged list; check() says so
        place: word = tables.place(mine, L.TABLE_HOLDERS, holder)
        at: word = COPIED_WORDS * count
        kind: word = holders.kind_of(arena, mine, holder)
        link: word = low(arena[place + L.HOLDER_LOANS])
        into[at] = holders.slot_of(arena, mine, holder)
        into[at + 1] = kind
        into[at + 2] = arena[place + L.HOLDER_COUNTS]
        into[at + 3] = arena[place + L.HOLDER_PINS]
        into[at + 4] = link if kind == L.HOLDER_AREA else 0
        into[at + 5] = link if kind != L.HOLDER_AREA else 0
        count += 1
        holder = low(arena[place + L.HOLDER_OBJECT_LINKS])
    return count


def count_records(arena: Words, mine: Words, obj: word) -> word:
    """Return how many records are on an object's list; at most as many as were ever used."""
    says: word = high(arena[tables.place(mine, L.TABLE_OBJECTS, obj) + L.OBJECT_NR])
    used: word = arena[L.TABLES + L.TABLE_WORDS * L.TABLE_HOLDERS + L.TABLE_NEXT]
    used = min(used, mine[L.MINE_TABLES + L.MINE_TABLE_WORDS * L.TABLE_HOLDERS + L.MINE_TABLE_MAX])
    return min(says, used)


def count_loans(arena: Words, mine: Words, loan: word) -> word:
    """Return how many loans are on a list, at about this moment; needs no lock."""
    most: word = arena[L.LOANS_COUNT]
    count: word = 0
    while count < most and tables.valid(arena, mine, L.TABLE_LOANS, loan):
        count += 1
        loan = low(arena[tables.place(mine, L.TABLE_LOANS, loan) + L.LOAN_LINKS])
    return count
