"""Make an object a queue or a topic, and close it.

Steps. make: takes a record, which belongs to the object from then on, as long as that lives. close:
nothing more can be put into it; what is in it can still be taken. All waiters are woken.

Why safe: one commit each. A member that dies before has an object that is nothing special; it is
reaped with it.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import objects, queues
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.private import record_of
    from ..store.words import Words, low, store, word


def make(
    arena: Words, mine: Words, obj: word, kind: word, policy: word, maxsize: word, lease_ns: word
) -> word:
    """Make a held object a queue or a topic: its record; NOT_HELD, IN_USE or NO_RECORDS."""
    at: word = objects.at(arena, mine, obj)
    word_at: word = 0
    if record_of(mine, obj) == 0:
        return L.NOT_HELD
    if objects.state(arena, mine, obj) != L.OBJECT_STATE_LIVE:
        return L.NOT_HELD
    if objects.flags(arena, mine, obj) & L.OBJECT_QUEUE != 0:
        return L.IN_USE
    queue: word = tables.take(arena, mine, L.TABLE_QUEUES)
    if queue >= L.STATUS:
        return journal.cancel(arena, queue)
    place: word = tables.place(mine, L.TABLE_QUEUES, queue)
    while word_at < L.QUEUE_AWAITED:
        journal.put(arena, place + word_at, 0)
        word_at += 1
    store(arena, place + L.QUEUE_AWAITED, 0)
    journal.put(
        arena,
        place + L.QUEUE_OBJECT,
        obj | kind << L.QUEUE_KIND_SHIFT | policy << L.QUEUE_POLICY_SHIFT,
    )
    journal.put(arena, place + L.QUEUE_NEXT_TICKET, 1)
    journal.put(arena, place + L.QUEUE_MAXSIZE, maxsize)
    journal.put(arena, place + L.QUEUE_LEASE_NS, lease_ns)
    journal.put(arena, at + L.OBJECT_LINK, queue)
    objects.set_flag(arena, mine, obj, L.OBJECT_QUEUE)
    return queue if journal.commit(arena) == L.OK else L.DAMAGED


def find(arena: Words, mine: Words, obj: word) -> word:
    """Return the record of a held object that is a queue or a topic; NOT_FOUND; NOT_HELD."""
    if record_of(mine, obj) == 0:
        return L.NOT_HELD
    if objects.flags(arena, mine, obj) & L.OBJECT_QUEUE == 0:
        return L.NOT_FOUND
    queue: word = low(arena[objects.at(arena, mine, obj) + L.OBJECT_LINK])
    return queue if queues.is_of(arena, mine, queue, obj) else L.DAMAGED


def close(arena: Words, mine: Words, queue: word) -> word:
    """Let nothing more be put into a queue, and wake everybody who waits. OK or DAMAGED."""
    place: word = queues.at(arena, mine, queue)
    one: word = 1
    if queues.is_closed(arena, place):
        return L.OK
    journal.put(
        arena,
        place + L.QUEUE_OBJECT,
        arena[place + L.QUEUE_OBJECT] | one << L.QUEUE_CLOSED_SHIFT,
    )
    awaited: word = queues.signal(arena, place, queue, L.QUEUE_EVENTS_ALL)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    queues.deliver(arena, place, awaited, L.WAKE_ALL)
    return L.OK
