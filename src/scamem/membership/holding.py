"""Who holds an object: its list of holder records, copied as it is at one moment."""

import cython
from cython.cimports.scamem.core import holders
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import Words, high, low, word
from cython.cimports.scamem.membership.membership import Membership


def holders_of(member: Membership, index: word) -> list[tuple[int, int, int, int, int, int]]:
    """Return (slot, kind, counts, pins, area, loans) of each record on an object's list.

    The list is copied in one go under the arena's lock, into a buffer that was made before: some
    nanoseconds a record. Where it grew meanwhile, the buffer is made larger and the copy anew.
    """
    found = []
    member.check_active()
    if not tables.valid(member.arena, member.mine, L.TABLE_OBJECTS, index):
        return found
    k: word
    count: word
    room: word
    place: word = tables.place(member.mine, L.TABLE_OBJECTS, index)
    about: word = L.MINE_TABLES + L.MINE_TABLE_WORDS * L.TABLE_HOLDERS
    while True:
        member.check_active()
        room = high(member.arena[place + L.OBJECT_NR]) + SLACK
        room = min(room, member.mine[about + L.MINE_TABLE_MAX])  # whatever a damaged word says
        buffer = bytearray(room * COPIED_WORDS * L.WORD_BYTES)
        address: cython.p_char = buffer
        into: Words = cython.cast(Words, address)
        member.begin()
        count = copy_list(member.arena, member.mine, index, into, room)
        member.end()
        if count <= room:
            break
    for k in range(count):
        at: word = COPIED_WORDS * k
        found.append(tuple([into[at + n] for n in range(COPIED_WORDS)]))
    return found


def copy_list(arena: Words, mine: Words, obj: word, into: Words, room: word) -> word:
    """Copy an object's records to a buffer; how many there are, room + 1 if more than it holds."""
    holder: word = low(arena[tables.place(mine, L.TABLE_OBJECTS, obj) + L.OBJECT_HOLDERS])
    loans: word = arena[L.LOANS_COUNT]
    count: word = 0
    while tables.valid(arena, mine, L.TABLE_HOLDERS, holder):  # bound: room
        if holders.object_of(arena, mine, holder) != obj:
            return count  # a damaged list; check() says so
        if count == room:
            return room + 1
        place: word = tables.place(mine, L.TABLE_HOLDERS, holder)
        at: word = COPIED_WORDS * count
        kind: word = holders.kind_of(arena, mine, holder)
        link: word = low(arena[place + L.HOLDER_LOANS])
        lent: word = 0
        into[at] = holders.slot_of(arena, mine, holder)
        into[at + 1] = kind
        into[at + 2] = arena[place + L.HOLDER_COUNTS]
        into[at + 3] = arena[place + L.HOLDER_PINS]
        into[at + 4] = link if kind == L.HOLDER_AREA else 0
        # bound: all loans of the arena, for all records together
        while (
            kind != L.HOLDER_AREA
            and lent < loans
            and tables.valid(arena, mine, L.TABLE_LOANS, link)
        ):
            lent += 1
            link = low(arena[tables.place(mine, L.TABLE_LOANS, link) + L.LOAN_LINKS])
        into[at + 5] = lent
        loans -= lent
        count += 1
        holder = low(arena[place + L.HOLDER_OBJECT_LINKS])
    return count
