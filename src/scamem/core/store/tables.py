"""Tables of records of one size: the next is taken from a free list, else the lowest fresh one.

State, per table: the free list's head, the first record that was never used, and how many records
have memory behind them (`backed`). Records below `backed` can be touched without a SIGBUS. When
they are used up, the caller brings more online, outside the lock (online.extend_table).
A free record's link is the low half of one of its words; the other words are stale.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from . import layout as L
    from .journal import ensure, put
    from .words import Words, low, word


def place(mine: Words, table: word, index: word) -> word:
    """Return the word offset of a record. Needs: the index is valid."""
    about: word = L.MINE_TABLES + L.MINE_TABLE_WORDS * table
    return mine[about + L.MINE_TABLE_AT] + index * mine[about + L.MINE_TABLE_RECORD]


def slot_at(mine: Words, slot: word) -> word:
    """Return the place of a slot's record; that of slot 0 for an invalid number."""
    return L.SLOTS + L.SLOT_WORDS * (slot if slot < mine[L.MINE_SLOTS_MAX] else 0)


def valid(arena: Words, mine: Words, table: word, index: word) -> bool:
    """Tell whether a record index from the arena is valid: not 0, and handed out at some time."""
    return (
        index != 0
        and index < arena[L.TABLES + L.TABLE_WORDS * table + L.TABLE_NEXT]
        and index < mine[L.MINE_TABLES + L.MINE_TABLE_WORDS * table + L.MINE_TABLE_MAX]
    )


def at(arena: Words, mine: Words, table: word, index: word) -> word:
    """Return the place of a record whose index came from the arena.

    An index that no member could have written damages the transaction under way (ensure) and
    returns the place of record 0, which is unused: what is stored there is rolled back.
    """
    about: word = L.MINE_TABLES + L.MINE_TABLE_WORDS * table
    used: word = arena[L.TABLES + L.TABLE_WORDS * table + L.TABLE_NEXT]
    if index == 0 or index >= used or index >= mine[about + L.MINE_TABLE_MAX]:
        ensure(arena, False)
        index = 0
    return mine[about + L.MINE_TABLE_AT] + index * mine[about + L.MINE_TABLE_RECORD]


def take(arena: Words, mine: Words, table: word) -> word:
    """Take a record from the table: its index, or NO_RECORDS + table. Stores: 1 word."""
    control: word = L.TABLES + L.TABLE_WORDS * table
    about: word = L.MINE_TABLES + L.MINE_TABLE_WORDS * table
    index: word = arena[control + L.TABLE_FREE]
    if index != 0:
        if not valid(arena, mine, table, index):
            ensure(arena, False)
            return L.DAMAGED
        link: word = place(mine, table, index) + mine[about + L.MINE_TABLE_LINK]
        put(arena, control + L.TABLE_FREE, low(arena[link]))
        return index
    index = arena[control + L.TABLE_NEXT]
    if index > mine[about + L.MINE_TABLE_MAX]:
        ensure(arena, False)
        return L.DAMAGED
    if index >= arena[control + L.TABLE_BACKED] or index >= mine[about + L.MINE_TABLE_MAX]:
        return L.NO_RECORDS + table
    put(arena, control + L.TABLE_NEXT, index + 1)
    return index


def give(arena: Words, mine: Words, table: word, index: word) -> None:
    """Give back a record. Needs: it is on no list any more. Stores: 2 words.

    An index that no member could have written damages the transaction (ensure); nothing is given.
    """
    if not valid(arena, mine, table, index):
        ensure(arena, False)
        return
    control: word = L.TABLES + L.TABLE_WORDS * table
    about: word = L.MINE_TABLES + L.MINE_TABLE_WORDS * table
    link: word = place(mine, table, index) + mine[about + L.MINE_TABLE_LINK]
    put(arena, link, arena[control + L.TABLE_FREE])
    put(arena, control + L.TABLE_FREE, index)
