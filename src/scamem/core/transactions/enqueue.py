"""Put an item into a queue.

Steps. put: makes an item at the end of the list, with the next ticket. Where the queue is full, its
policy says what happens: the caller waits or gives up (QUEUE_FULL), or the oldest item that is not
leased is dropped first (drop_oldest), in a transaction of its own (items.py says why).

Why safe: item, its reference and all counts change in one commit, so that a producer that dies has
put the whole item, or none of it. The queue holds the value from then on. Waiters are woken before
the lock is given up, and if the producer dies before it has done so, by the member that takes the
lock over (queues.py). A producer that dies after drop_oldest has dropped one item and put none.

Who finishes: nobody has to.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import queues
    from ..store import journal
    from ..store import layout as L
    from ..store.words import Words, word
    from . import items


def drop_oldest(arena: Words, mine: Words, queue: word) -> word:
    """Drop the oldest item of a queue: OK, or EMPTY if every item is leased. Lock held, I7."""
    place: word = queues.at(arena, mine, queue)
    item: word = items.oldest(arena, mine, queue)
    if item == 0:
        return L.EMPTY
    items.take_out(arena, mine, queue, item)
    items.drop(arena, mine, item)
    queues.count_ready(arena, place, L.ALL_ONES)
    journal.put(arena, place + L.QUEUE_DROPPED, arena[place + L.QUEUE_DROPPED] + 1)
    return finish_one(arena, mine, place, queue, 0)


def finish_one(arena: Words, mine: Words, place: word, queue: word, which: word) -> word:
    """Count one item as finished, signal that, and other events, and commit.

    If a closed queue becomes empty by it, nobody who waits for an item will get one.
    """
    left: word = arena[place + L.QUEUE_UNFINISHED]
    awaited: word
    journal.ensure(arena, left > 0)
    journal.put(arena, place + L.QUEUE_UNFINISHED, left - 1)
    if left == 1:
        which = which | L.QUEUE_EVENT_DONE
    awaited = queues.signal(arena, place, queue, which | queues.end_event(arena, place))
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    queues.deliver(arena, place, awaited, 1)
    return L.OK


def put(arena: Words, mine: Words, queue: word, form: word, obj: word) -> word:
    """Put the value in the private words into a queue: OK; QUEUE_FULL, CLOSED, or items.new's."""
    place: word = queues.at(arena, mine, queue)
    status: word
    awaited: word
    if queues.is_closed(arena, place):
        return L.CLOSED
    if queues.is_full(arena, place):
        if queues.policy(arena, place) != L.POLICY_DROP_OLDEST:
            return L.QUEUE_FULL
        status = drop_oldest(arena, mine, queue)
        if status != L.OK:
            return L.QUEUE_FULL if status == L.EMPTY else status
    status = items.new(arena, mine, queue, form, obj)
    if status >= L.STATUS:
        return journal.cancel(arena, status)
    journal.put(arena, place + L.QUEUE_UNFINISHED, arena[place + L.QUEUE_UNFINISHED] + 1)
    awaited = queues.signal(arena, place, queue, L.QUEUE_EVENT_ITEMS)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    queues.deliver(arena, place, awaited, 1)
    return L.OK
