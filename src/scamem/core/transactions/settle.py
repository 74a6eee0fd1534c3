"""Settle what a member has of queues and topics, when it is reaped or leaves.

Steps. step takes the newest consumer record of a slot. If it has leases, it gives the newest of
them back to its place by its ticket, for others to take. Else it counts what the member took as
done, so that join() ends, and gives the record back. One of these is one transaction.

Why safe: each is complete or undone, and any member may continue. While a lease is left, the record
that lists it is there. The newest lease comes first: it has the largest ticket, so it goes to the
top of the way down, and each returns in few steps.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import consumers, queues
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.words import Words, low, word
    from . import broadcast, dequeue


def step(arena: Words, mine: Words, slot: word) -> word:
    """Settle one lease or one record of a slot: MORE, or DONE if there is none."""
    consumer: word = arena[tables.slot_at(mine, slot) + L.SLOT_CONSUMERS]
    return L.DONE if consumer == 0 else settle(arena, mine, consumer)


def settle(arena: Words, mine: Words, consumer: word) -> word:
    """Give back one lease of a consumer record; without one, the record: MORE or DAMAGED."""
    at: word = consumers.at(arena, mine, consumer)
    queue: word = low(arena[at + L.CONSUMER_OF])
    place: word = queues.at(arena, mine, queue)
    taken: word = arena[at + L.CONSUMER_TAKEN]
    awaited: word
    status: word
    if arena[at + L.CONSUMER_OF] >> L.CONSUMER_KIND_SHIFT == L.KIND_TOPIC:
        status = broadcast.end(arena, mine, consumer)
        return L.MORE if status == L.OK else L.DAMAGED
    if low(arena[at + L.CONSUMER_LEASES]) != 0:
        status = dequeue.put_back(arena, mine, low(arena[at + L.CONSUMER_LEASES]))
        return L.MORE if status == L.OK else L.DAMAGED
    journal.ensure(arena, arena[place + L.QUEUE_UNFINISHED] >= taken)
    journal.put(arena, place + L.QUEUE_UNFINISHED, arena[place + L.QUEUE_UNFINISHED] - taken)
    consumers.unlink(arena, mine, consumer)
    awaited = queues.signal(
        arena, place, queue, L.QUEUE_EVENT_DONE if arena[place + L.QUEUE_UNFINISHED] == 0 else 0
    )
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    queues.deliver(arena, place, awaited, 1)
    return L.MORE
