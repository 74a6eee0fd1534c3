"""Holder records: one for each (object, member or arena), on the object's list and the holder's.

State. The links are logged. The counts (mappings, objects in hand, pins, I/O pins) are words that
only the record's member stores, under its process-local lock, without the arena's; they are never
logged. A record whose counts are all 0 stays linked until a member drops it under the arena's lock,
and is revived only there. Records held by areas or loans in transit are on the list of a slot that
is no member's (SLOT_AREAS, SLOT_TRANSIT), and have no counts.

I2: linking and unlinking change both lists and the object's count in one transaction.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L
    from .store import tables
    from .store.journal import ensure, put
    from .store.words import Words, high, low, pair, store, word


def at(arena: Words, mine: Words, holder: word) -> word:
    """Return the place of a holder record; that of record 0 for an invalid index."""
    return tables.at(arena, mine, L.TABLE_HOLDERS, holder)


def object_of(arena: Words, mine: Words, holder: word) -> word:
    """Return the object that a record holds."""
    return low(arena[at(arena, mine, holder) + L.HOLDER_OBJECT])


def slot_of(arena: Words, mine: Words, holder: word) -> word:
    """Return the slot on whose list a record is."""
    value: word = arena[at(arena, mine, holder) + L.HOLDER_OBJECT]
    return value >> L.HOLDER_SLOT_SHIFT & L.MASK_16


def kind_of(arena: Words, mine: Words, holder: word) -> word:
    """Return the kind: HOLDER_MEMBER, HOLDER_AREA or HOLDER_TRANSIT; 0 for a free record."""
    return arena[at(arena, mine, holder) + L.HOLDER_OBJECT] >> L.HOLDER_KIND_SHIFT


def has_counts(arena: Words, mine: Words, holder: word) -> bool:
    """Tell whether a member's record has any counts."""
    place: word = at(arena, mine, holder)
    return arena[place + L.HOLDER_COUNTS] != 0 or arena[place + L.HOLDER_PINS] != 0


def has_io(arena: Words, mine: Words, holder: word) -> bool:
    """Tell whether a member's record counts I/O that may be under way."""
    return arena[at(arena, mine, holder) + L.HOLDER_COUNTS] >> L.COUNT_IO_SHIFT != 0


def count_of(arena: Words, mine: Words, slot: word) -> word:
    """Return how many records are on a slot's list."""
    return arena[tables.slot_at(mine, slot) + L.SLOT_HOLDERS_COUNT]


def find(arena: Words, mine: Words, obj: word, slot: word) -> word:
    """Return a member's record on an object's list, 0 if there is none.

    Only a first hold searches; a member's later holds use its private table.
    """
    holder: word = low(arena[tables.at(arena, mine, L.TABLE_OBJECTS, obj) + L.OBJECT_HOLDERS])
    left: word = high(arena[tables.at(arena, mine, L.TABLE_OBJECTS, obj) + L.OBJECT_NR])
    while holder != 0 and left > 0:  # bound: the object's count of records
        place: word = at(arena, mine, holder)
        value: word = arena[place + L.HOLDER_OBJECT] >> L.HOLDER_SLOT_SHIFT
        if value == (slot | L.HOLDER_MEMBER << (L.HOLDER_KIND_SHIFT - L.HOLDER_SLOT_SHIFT)):
            return holder
        holder = low(arena[place + L.HOLDER_OBJECT_LINKS])
        left -= 1
    return 0


def link(arena: Words, mine: Words, obj: word, slot: word, kind: word) -> word:
    """Make a record for a holder of an object: its index, or NO_RECORDS. Stores: at most 12 words.

    Its counts are 0: the caller sets them before the commit.
    """
    holder: word = tables.take(arena, mine, L.TABLE_HOLDERS)
    if holder >= L.STATUS:
        return holder
    place: word = tables.place(mine, L.TABLE_HOLDERS, holder)
    obj_at: word = tables.at(arena, mine, L.TABLE_OBJECTS, obj)
    first: word = low(arena[obj_at + L.OBJECT_HOLDERS])
    store(arena, place + L.HOLDER_COUNTS, 0)
    store(arena, place + L.HOLDER_PINS, 0)
    store(arena, place + L.HOLDER_DROPS, 0)
    put(arena, place + L.HOLDER_OBJECT_LINKS, first)
    put(arena, place + L.HOLDER_LOANS, 0)
    if first != 0:
        links: word = at(arena, mine, first) + L.HOLDER_OBJECT_LINKS
        put(arena, links, pair(low(arena[links]), holder))
    put(arena, obj_at + L.OBJECT_HOLDERS, pair(holder, high(arena[obj_at + L.OBJECT_HOLDERS])))
    put(arena, obj_at + L.OBJECT_NR, arena[obj_at + L.OBJECT_NR] + pair(0, 1))
    if arena[obj_at + L.OBJECT_STATE] & L.OBJECT_MIGRATING != 0:  # its copy is no longer valid
        put(arena, obj_at + L.OBJECT_STATE, arena[obj_at + L.OBJECT_STATE] - L.OBJECT_MIGRATING)
    link_to_slot(arena, mine, holder, slot, obj | kind << L.HOLDER_KIND_SHIFT)
    return holder


def link_to_slot(arena: Words, mine: Words, holder: word, slot: word, whose: word) -> None:
    """Put a record, {object, kind}, on a slot's list as its newest. Stores: 5 words."""
    place: word = at(arena, mine, holder)
    about: word = tables.slot_at(mine, slot)
    newest: word = low(arena[about + L.SLOT_HOLDERS])
    oldest: word = high(arena[about + L.SLOT_HOLDERS])
    put(arena, place + L.HOLDER_SLOT_LINKS, newest)
    put(arena, place + L.HOLDER_OBJECT, whose | slot << L.HOLDER_SLOT_SHIFT)
    if newest != 0:
        links: word = at(arena, mine, newest) + L.HOLDER_SLOT_LINKS
        put(arena, links, pair(low(arena[links]), holder))
    else:
        oldest = holder
    put(arena, about + L.SLOT_HOLDERS, pair(holder, oldest))
    put(arena, about + L.SLOT_HOLDERS_COUNT, arena[about + L.SLOT_HOLDERS_COUNT] + 1)


def unlink_from_slot(arena: Words, mine: Words, holder: word) -> None:
    """Take a record off its slot's list; the caller stores its new owner. Stores: 4 words."""
    place: word = at(arena, mine, holder)
    slot: word = slot_of(arena, mine, holder)
    about: word = tables.slot_at(mine, slot)
    older: word = low(arena[place + L.HOLDER_SLOT_LINKS])
    newer: word = high(arena[place + L.HOLDER_SLOT_LINKS])
    newest: word = low(arena[about + L.SLOT_HOLDERS])
    oldest: word = high(arena[about + L.SLOT_HOLDERS])
    links: word
    if older != 0:
        links = at(arena, mine, older) + L.HOLDER_SLOT_LINKS
        put(arena, links, pair(low(arena[links]), newer))
    else:
        ensure(arena, oldest == holder)
        oldest = newer
    if newer != 0:
        links = at(arena, mine, newer) + L.HOLDER_SLOT_LINKS
        put(arena, links, pair(older, high(arena[links])))
    else:
        ensure(arena, newest == holder)
        newest = older
    put(arena, about + L.SLOT_HOLDERS, pair(newest, oldest))
    put(arena, about + L.SLOT_HOLDERS_COUNT, arena[about + L.SLOT_HOLDERS_COUNT] - 1)


def unlink(arena: Words, mine: Words, holder: word) -> None:
    """Take a record off both lists and give it back. Stores: at most 12 words.

    Needs: it has no loans. The object's count falls by one; the caller ends the object (I3).
    A record that is still on a stack of drops is given back when it is popped: its number must
    not be used again before.
    """
    place: word = at(arena, mine, holder)
    obj_at: word = tables.at(arena, mine, L.TABLE_OBJECTS, low(arena[place + L.HOLDER_OBJECT]))
    following: word = low(arena[place + L.HOLDER_OBJECT_LINKS])
    before: word = high(arena[place + L.HOLDER_OBJECT_LINKS])
    links: word
    unlink_from_slot(arena, mine, holder)
    if before != 0:
        links = at(arena, mine, before) + L.HOLDER_OBJECT_LINKS
        put(arena, links, pair(following, high(arena[links])))
    else:
        ensure(arena, low(arena[obj_at + L.OBJECT_HOLDERS]) == holder)
        put(
            arena,
            obj_at + L.OBJECT_HOLDERS,
            pair(following, high(arena[obj_at + L.OBJECT_HOLDERS])),
        )
    if following != 0:
        links = at(arena, mine, following) + L.HOLDER_OBJECT_LINKS
        put(arena, links, pair(low(arena[links]), before))
    ensure(arena, high(arena[obj_at + L.OBJECT_NR]) > 0)
    put(arena, obj_at + L.OBJECT_NR, arena[obj_at + L.OBJECT_NR] - pair(0, 1))
    if kind_of(arena, mine, holder) == L.HOLDER_TRANSIT:
        put(arena, obj_at + L.OBJECT_HOLDERS, arena[obj_at + L.OBJECT_HOLDERS] - pair(0, 1))
    if arena[place + L.HOLDER_DROPS] != 0:
        put(arena, place + L.HOLDER_OBJECT, L.HOLDER_DROPPED << L.HOLDER_KIND_SHIFT)
        return
    put(arena, place + L.HOLDER_OBJECT, 0)
    tables.give(arena, mine, L.TABLE_HOLDERS, holder)


def give_dropped(arena: Words, mine: Words, holder: word) -> None:
    """Give back a record that was dropped while on a stack, after its pop. Stores: 3 words."""
    put(arena, at(arena, mine, holder) + L.HOLDER_OBJECT, 0)
    tables.give(arena, mine, L.TABLE_HOLDERS, holder)


def turn_over(arena: Words, mine: Words, holder: word, second: word) -> None:
    """Turn a lender's record over to the arena, with its loans. Stores: at most 15 words.

    The counts of a dead lender end here; a living one has none. So a roll-back need not know them.
    """
    place: word = at(arena, mine, holder)
    obj: word = object_of(arena, mine, holder)
    obj_at: word = tables.at(arena, mine, L.TABLE_OBJECTS, obj)
    store(arena, place + L.HOLDER_COUNTS, 0)
    store(arena, place + L.HOLDER_PINS, 0)
    unlink_from_slot(arena, mine, holder)
    put(arena, place + L.HOLDER_LOANS, pair(low(arena[place + L.HOLDER_LOANS]), second))
    put(arena, obj_at + L.OBJECT_HOLDERS, arena[obj_at + L.OBJECT_HOLDERS] + pair(0, 1))
    link_to_slot(arena, mine, holder, L.SLOT_TRANSIT, obj | L.HOLDER_TRANSIT << L.HOLDER_KIND_SHIFT)


def one_of(by: word) -> word:
    """Return what one hold of a kind adds to the word of counts (pins have their own word)."""
    if by == L.BY_MAPPING:
        return L.COUNT_MAPPING
    return L.COUNT_HAND if by == L.BY_HAND else L.COUNT_IO


def add_count(arena: Words, mine: Words, holder: word, by: word) -> bool:
    """Add one mapping, hand, pin or I/O pin; False if full. Needs: the record is this member's."""
    place: word = tables.place(mine, L.TABLE_HOLDERS, holder)
    counts: word = arena[place + L.HOLDER_COUNTS]
    if by == L.BY_PIN:
        store(arena, place + L.HOLDER_PINS, arena[place + L.HOLDER_PINS] + 1)
        return True
    if by == L.BY_MAPPING and counts & L.MASK_24 == L.MASK_24:
        return False
    if by == L.BY_HAND and counts >> L.COUNT_HANDS_SHIFT & L.MASK_24 == L.MASK_24:
        return False
    if by == L.BY_IO and counts >> L.COUNT_IO_SHIFT == L.MASK_16:
        return False
    store(arena, place + L.HOLDER_COUNTS, counts + one_of(by))
    return True


def subtract_count(arena: Words, mine: Words, holder: word, by: word) -> bool:
    """Remove one hold; tell whether none is left. Needs: the record is this member's."""
    place: word = tables.place(mine, L.TABLE_HOLDERS, holder)
    if by == L.BY_PIN:
        store(arena, place + L.HOLDER_PINS, arena[place + L.HOLDER_PINS] - 1)
    else:
        store(arena, place + L.HOLDER_COUNTS, arena[place + L.HOLDER_COUNTS] - one_of(by))
    return arena[place + L.HOLDER_COUNTS] == 0 and arena[place + L.HOLDER_PINS] == 0
