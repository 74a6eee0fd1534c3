"""Take an item out of a queue, or lease it: what is under way belongs to the arena.

Steps. take: the oldest item leaves the queue, and its value is this member's: the member's consumer
record counts one more item that is not said to be done. lease: the item stays in the queue's
memory, LEASED: on the list of the member's consumer record. done: drops it. give_back: puts it back
to its place by its ticket. expire: gives back a lease whose time is over. task_done: settles one
item that was taken.

A lease is named by item, ticket and attempt. So a late done() of a member whose lease was given
back to the queue meanwhile, and perhaps leased to another, finds that it is not its lease any more.

Why safe: each of these is one commit. A member that dies before it has taken nothing; after it, the
item is in its consumer record, as a lease or as a count, and its reaper settles that (settle.py).
There is no moment at which an item is neither in the queue nor in the record of a member.

Who finishes: the reaper.

Tried and failed: bare task_done() of a member with several leases. Two threads finish each other's.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import consumers, queues
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.private import set_record
    from ..store.words import Words, high, low, monotonic_ns, word
    from . import enqueue, items


def own(arena: Words, mine: Words, queue: word, known: word) -> word:
    """Return this member's consumer record of a queue, which may be `known`; make it if needed."""
    if consumers.is_of(arena, mine, known, queue, L.KIND_QUEUE):
        return known
    known = consumers.find(arena, mine, queue)
    return known if known != 0 else consumers.link(arena, mine, queue, L.KIND_QUEUE)


def next_item(arena: Words, mine: Words, queue: word) -> word:
    """Return the item to take; EMPTY; or CLOSED if none is left and none can come."""
    place: word = queues.at(arena, mine, queue)
    item: word = items.oldest(arena, mine, queue)
    if item != 0:
        return item
    if queues.is_closed(arena, place) and arena[place + L.QUEUE_COUNTS] == 0:
        return L.CLOSED
    return L.EMPTY


def take(arena: Words, mine: Words, queue: word, known: word) -> word:
    """Take the oldest item: OK, with the item in the private words; EMPTY, CLOSED or no room."""
    place: word = queues.at(arena, mine, queue)
    item: word = next_item(arena, mine, queue)
    consumer: word
    awaited: word
    status: word
    if item >= L.STATUS:
        return item
    consumer = own(arena, mine, queue, known)
    if consumer >= L.STATUS:
        return journal.cancel(arena, consumer)
    status = items.read(arena, mine, item)
    if status != L.OK:
        return journal.cancel(arena, status)
    items.take_out(arena, mine, queue, item)
    items.drop(arena, mine, item)
    queues.count_ready(arena, place, L.ALL_ONES)
    at: word = consumers.at(arena, mine, consumer)
    journal.put(arena, at + L.CONSUMER_TAKEN, arena[at + L.CONSUMER_TAKEN] + 1)
    awaited = L.QUEUE_EVENT_ROOM | queues.end_event(arena, place)
    awaited = queues.signal(arena, place, queue, awaited)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    mine[L.MINE_ITEM_CONSUMER] = consumer
    if mine[L.MINE_ITEM_OBJECT] != 0:
        set_record(mine, mine[L.MINE_ITEM_OBJECT], mine[L.MINE_ITEM_HOLDER])
    queues.deliver(arena, place, awaited, 1)
    return L.OK


def lease(arena: Words, mine: Words, queue: word, known: word, until_ns: word) -> word:
    """Lease the oldest item, until a time or for ever (0): as take."""
    place: word = queues.at(arena, mine, queue)
    item: word = next_item(arena, mine, queue)
    consumer: word
    status: word
    if item >= L.STATUS:
        return item
    consumer = own(arena, mine, queue, known)
    if consumer >= L.STATUS:
        return journal.cancel(arena, consumer)
    at: word = queues.item_at(arena, mine, item)
    one: word = 1
    items.take_out(arena, mine, queue, item)
    items.set_state(arena, mine, item, items.state(arena, mine, item), L.ITEM_STATE_LEASED)
    if arena[at + L.ITEM_STATE] >> L.ITEM_ATTEMPTS_SHIFT != L.MASK_24:
        journal.put(
            arena, at + L.ITEM_STATE, arena[at + L.ITEM_STATE] + (one << L.ITEM_ATTEMPTS_SHIFT)
        )
    consumers.add_lease(arena, mine, consumer, item)
    consumers.add_timed(arena, mine, queue, item, until_ns)
    queues.count_leased(arena, place)
    status = items.read(arena, mine, item)
    if status != L.OK:
        return journal.cancel(arena, status)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    mine[L.MINE_ITEM_CONSUMER] = consumer
    if mine[L.MINE_ITEM_OBJECT] != 0:
        set_record(mine, mine[L.MINE_ITEM_OBJECT], mine[L.MINE_ITEM_HOLDER])
    return L.OK


def is_leased(arena: Words, mine: Words, item: word, ticket: word, attempts: word) -> bool:
    """Tell whether this member has exactly this lease; any numbers may be passed."""
    if not tables.valid(arena, mine, L.TABLE_ITEMS, item):
        return False
    at: word = tables.place(mine, L.TABLE_ITEMS, item)
    value: word = arena[at + L.ITEM_STATE]
    if value >> L.ITEM_STATE_SHIFT & L.ITEM_STATE_MASK != L.ITEM_STATE_LEASED:
        return False
    if arena[at + L.ITEM_TICKET] != ticket or value >> L.ITEM_ATTEMPTS_SHIFT != attempts:
        return False
    return consumers.is_of(arena, mine, low(arena[at + L.ITEM_OWNER]), low(value), L.KIND_QUEUE)


def finish(arena: Words, mine: Words, item: word) -> word:
    """Drop a leased item, which is done."""
    queue: word = low(arena[queues.item_at(arena, mine, item) + L.ITEM_STATE])
    place: word = queues.at(arena, mine, queue)
    consumers.remove_lease(arena, mine, item)
    consumers.remove_timed(arena, mine, queue, item)
    items.drop(arena, mine, item)
    one: word = 1
    journal.ensure(arena, high(arena[place + L.QUEUE_COUNTS]) > 0)
    queues.count_ready(arena, place, L.ALL_ONES - (one << L.SHIFT_32) + 1)
    return enqueue.finish_one(arena, mine, place, queue, L.QUEUE_EVENT_ROOM)


def done(arena: Words, mine: Words, item: word, ticket: word, attempts: word) -> word:
    """Say that a leased item is done: OK, or NOT_LEASED. Needs: lock held, journal empty (I7)."""
    if not is_leased(arena, mine, item, ticket, attempts):
        return L.NOT_LEASED
    return finish(arena, mine, item)


def give_back(arena: Words, mine: Words, item: word, ticket: word, attempts: word) -> word:
    """Put a leased item back to its place in the queue: OK, or NOT_LEASED."""
    if not is_leased(arena, mine, item, ticket, attempts):
        return L.NOT_LEASED
    return put_back(arena, mine, item)


def put_back(arena: Words, mine: Words, item: word) -> word:
    """Put an item back to its place, whoever has leased it, and wake a consumer."""
    queue: word = low(arena[queues.item_at(arena, mine, item) + L.ITEM_STATE])
    place: word = queues.at(arena, mine, queue)
    items.give_back(arena, mine, item)
    awaited: word = queues.signal(arena, place, queue, L.QUEUE_EVENT_ITEMS)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    queues.deliver(arena, place, awaited, 1)
    return L.OK


def expire(arena: Words, mine: Words, queue: word) -> word:
    """Give back the lease that ends first, if its time is over: MORE; else DONE."""
    item: word = low(arena[queues.at(arena, mine, queue) + L.QUEUE_TIMED])
    if item == 0:
        return L.DONE
    if arena[queues.item_at(arena, mine, item) + L.ITEM_UNTIL_NS] > monotonic_ns():
        return L.DONE
    return L.MORE if put_back(arena, mine, item) == L.OK else L.DAMAGED


def task_done(arena: Words, mine: Words, queue: word, known: word) -> word:
    """Say that one item is done that this member took: OK, TOO_MANY_LEASES or NOT_LEASED.

    One that was taken without a lease; if there is none, the only one that is leased.
    """
    consumer: word = known
    place: word = queues.at(arena, mine, queue)
    if not consumers.is_of(arena, mine, known, queue, L.KIND_QUEUE):
        consumer = consumers.find(arena, mine, queue)
    if consumer == 0:
        return L.NOT_LEASED
    at: word = consumers.at(arena, mine, consumer)
    if high(arena[at + L.CONSUMER_LEASES]) > 1:
        return L.TOO_MANY_LEASES
    if arena[at + L.CONSUMER_TAKEN] != 0:
        journal.put(arena, at + L.CONSUMER_TAKEN, arena[at + L.CONSUMER_TAKEN] - 1)
        return enqueue.finish_one(arena, mine, place, queue, 0)
    if low(arena[at + L.CONSUMER_LEASES]) == 0:
        return L.NOT_LEASED
    return finish(arena, mine, low(arena[at + L.CONSUMER_LEASES]))
