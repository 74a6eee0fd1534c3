"""Publish an object under a name, find it, and unpublish it.

Steps. publish: makes an area record and its holder record or, to replace, a new holder record in
place of the old one, which goes in the same transaction. So a name always shows one whole object.
unpublish: removes the area and its one reference. A weak name marks its object, which loses the
mark before the name shows another object or goes: see free.py. find: finds the area by its name;
the caller holds the object with hold.first() before it unlocks.

Why safe: each is one transaction. A waiter for a name reads the event EVENT_AREAS under the lock,
together with "not there"; the publisher posts it under the lock. A publisher killed between commit
and wake loses no wake: the member that takes the lock over wakes the waiters (store/events.py).
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import areas, holders, objects
    from ..store import events, journal, tables
    from ..store import layout as L
    from ..store.words import Words, high, monotonic_ns, word
    from . import free


def end_holding(arena: Words, mine: Words, area: word) -> word:
    """Return the record by which an area holds its object, for the caller to drop. No commit."""
    place: word = areas.at(arena, mine, area)
    holder: word = high(arena[place + L.AREA_LINK])
    if arena[place + L.AREA_FLAGS] & L.AREA_WEAK != 0:
        objects.clear_flags(arena, mine, holders.object_of(arena, mine, holder), L.OBJECT_WEAK)
    return holder


def publish(arena: Words, mine: Words, obj: word, generation: word, how: word) -> word:
    """Publish an object under the name in the private words. `how`: PUBLISH_ bits.

    The area; or STALE, EXISTS, NO_RECORDS, or IN_USE if another weak name shows the object.
    """
    if not objects.is_live(arena, mine, obj, generation):
        return L.STALE
    area: word = areas.find(arena, mine)
    old: word = 0
    if area != 0:
        if how & L.PUBLISH_REPLACE == 0:
            return L.EXISTS
        old = end_holding(arena, mine, area)
        areas.describe(arena, mine, area, monotonic_ns())
    else:
        area = areas.link(arena, mine, monotonic_ns())
    if area >= L.STATUS:
        return journal.cancel(arena, area)
    if how & L.PUBLISH_WEAK != 0:
        if objects.flags(arena, mine, obj) & L.OBJECT_WEAK != 0:
            return journal.cancel(arena, L.IN_USE)
        objects.set_flag(arena, mine, obj, L.OBJECT_WEAK)
    holder: word = holders.link(arena, mine, obj, L.SLOT_AREAS, L.HOLDER_AREA)
    if holder >= L.STATUS:
        return journal.cancel(arena, holder)
    areas.set_holder(arena, mine, area, holder, L.AREA_WEAK if how & L.PUBLISH_WEAK != 0 else 0)
    if old != 0:
        free.let_go(arena, mine, old)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    events.post(arena, L.EVENT_AREAS)
    return area


def unpublish(arena: Words, mine: Words) -> word:
    """Remove the name in the private words, and its one reference: OK or NOT_FOUND."""
    area: word = areas.find(arena, mine)
    if area == 0:
        return L.NOT_FOUND
    holder: word = end_holding(arena, mine, area)
    areas.unlink(arena, mine, area)
    free.let_go(arena, mine, holder)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    events.post(arena, L.EVENT_AREAS)
    return L.OK


def find(arena: Words, mine: Words) -> word:
    """Return the object that the name in the private words shows, or NOT_FOUND.

    Its description is in the private words afterwards. It is not held yet: see hold.first().
    """
    area: word = areas.find(arena, mine)
    if area == 0:
        return L.NOT_FOUND
    return read_area(arena, mine, area)


def read_area(arena: Words, mine: Words, area: word) -> word:
    """Return an area's object, its name and description in the private words; or NOT_FOUND."""
    if not tables.valid(arena, mine, L.TABLE_AREAS, area):
        return L.NOT_FOUND
    place: word = areas.at(arena, mine, area)
    if arena[place + L.AREA_SIZES] == 0:
        return L.NOT_FOUND
    areas.read(arena, mine, area)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return holders.object_of(arena, mine, high(arena[place + L.AREA_LINK]))
