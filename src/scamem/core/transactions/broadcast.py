"""Topics: one value in memory, read by each subscriber at its own pace.

State. A topic's list has its last items, as many as its history, in the order of their tickets,
which have no gaps. A subscriber's consumer record has the ticket of the item that it reads next,
and the item that it read last. Each item counts the subscribers that read it next (ITEM_OWNER), the
topic those that have read everything (QUEUE_AT_END). So one look at the oldest item says whether
anybody still needs it.

Steps. publish: puts an item at the end; the subscribers that had read everything read it next. A
full topic drops its oldest item first, in a transaction of its own (items.py says why), unless its
policy is to block and a subscriber reads that item next: then the publisher waits. read: finds the
subscriber's next item. It is the one after the item that it read last, if that one is still there;
else it was the oldest or was dropped, and the subscriber goes on at the oldest and is told how many
it missed. subscribe, end: begin and end a subscription; the reaper ends those of a dead member, so
that it holds nothing back.

Why safe: each is one commit. A subscriber that dies before it has read nothing; the value is held
by the topic's item and by each reader's own record.

Tried and failed: counting on each item who has still to read it makes the end of a subscription as
long as the history.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import consumers, queues
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.private import set_record
    from ..store.words import Words, high, low, pair, word
    from . import items


def drop_oldest(arena: Words, mine: Words, topic: word) -> word:
    """Drop a topic's oldest item: OK; QUEUE_FULL if one that blocks still reads it."""
    place: word = queues.at(arena, mine, topic)
    item: word = low(arena[place + L.QUEUE_LIST])
    at: word = queues.item_at(arena, mine, item)
    if queues.policy(arena, place) == L.POLICY_BLOCK and high(arena[at + L.ITEM_OWNER]) != 0:
        return L.QUEUE_FULL
    queues.pop(arena, mine, topic)
    items.drop(arena, mine, item)
    queues.count_ready(arena, place, L.ALL_ONES)
    journal.put(arena, place + L.QUEUE_DROPPED, arena[place + L.QUEUE_DROPPED] + 1)
    return journal.commit(arena)


def publish(arena: Words, mine: Words, topic: word, form: word, obj: word) -> word:
    """Publish the value in the private words: OK; QUEUE_FULL, CLOSED, or why not (items.new)."""
    place: word = queues.at(arena, mine, topic)
    status: word
    awaited: word
    if queues.is_closed(arena, place):
        return L.CLOSED
    if queues.is_full(arena, place):
        status = drop_oldest(arena, mine, topic)
        if status != L.OK:
            return status
    status = items.new(arena, mine, topic, form, obj)
    if status >= L.STATUS:
        return journal.cancel(arena, status)
    at: word = queues.item_at(arena, mine, status)
    journal.put(arena, at + L.ITEM_OWNER, pair(0, arena[place + L.QUEUE_AT_END]))
    journal.put(arena, place + L.QUEUE_AT_END, 0)
    awaited = queues.signal(arena, place, topic, L.QUEUE_EVENT_ITEMS)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    queues.deliver(arena, place, awaited, L.WAKE_ALL)
    return L.OK


def step_on(arena: Words, mine: Words, topic: word, item: word, more: word) -> None:
    """Count a subscriber that reads an item next, 0: has read everything; or one less. 1 word."""
    at: word = queues.at(arena, mine, topic) + L.QUEUE_AT_END
    if item != 0:
        at = queues.item_at(arena, mine, item) + L.ITEM_OWNER
        more = more << L.SHIFT_32
    journal.put(arena, at, arena[at] + more & L.ALL_ONES)


def next_of(arena: Words, mine: Words, consumer: word) -> word:
    """Return the item that a subscriber reads next, 0 if it has read everything."""
    place: word = consumers.at(arena, mine, consumer)
    topic: word = low(arena[place + L.CONSUMER_OF])
    cursor: word = arena[place + L.CONSUMER_CURSOR]
    last: word = arena[place + L.CONSUMER_LAST]
    at: word = queues.at(arena, mine, topic)
    if cursor >= arena[at + L.QUEUE_NEXT_TICKET]:
        return 0
    if tables.valid(arena, mine, L.TABLE_ITEMS, last):
        place = tables.place(mine, L.TABLE_ITEMS, last)
        if arena[place + L.ITEM_STATE] != 0 and low(arena[place + L.ITEM_STATE]) == topic:
            if arena[place + L.ITEM_TICKET] == cursor - 1:
                return low(arena[place + L.ITEM_LINKS])
    return low(arena[at + L.QUEUE_LIST])


def ticket_of(arena: Words, mine: Words, item: word) -> word:
    """Return the ticket of an item."""
    return arena[queues.item_at(arena, mine, item) + L.ITEM_TICKET]


def uncount(arena: Words, mine: Words, consumer: word, item: word) -> None:
    """Count a subscriber no more where it was counted; not if what it reads next was dropped."""
    place: word = consumers.at(arena, mine, consumer)
    if item == 0 or ticket_of(arena, mine, item) == arena[place + L.CONSUMER_CURSOR]:
        step_on(arena, mine, low(arena[place + L.CONSUMER_OF]), item, L.ALL_ONES)


def subscribe(arena: Words, mine: Words, topic: word, cursor: word, last: word) -> word:
    """Begin to read at a ticket: a consumer record, or NO_RECORDS. Needs: lock held, I7.

    cursor : 0: at the oldest item; ALL_ONES: behind the newest. last : the item before it, or 0.
    """
    place: word = queues.at(arena, mine, topic)
    oldest: word = low(arena[place + L.QUEUE_LIST])
    consumer: word = consumers.link(arena, mine, topic, L.KIND_TOPIC)
    if consumer >= L.STATUS:
        return journal.cancel(arena, consumer)
    at: word = consumers.at(arena, mine, consumer)
    if cursor >= arena[place + L.QUEUE_NEXT_TICKET]:
        cursor = arena[place + L.QUEUE_NEXT_TICKET]
        last = high(arena[place + L.QUEUE_LIST])
    elif cursor == 0:
        last = 0
        cursor = arena[place + L.QUEUE_NEXT_TICKET]
        if oldest != 0:
            cursor = ticket_of(arena, mine, oldest)
    journal.put(arena, at + L.CONSUMER_CURSOR, cursor)
    journal.put(arena, at + L.CONSUMER_LAST, last)
    oldest = next_of(arena, mine, consumer)
    if oldest == 0 or ticket_of(arena, mine, oldest) == cursor:
        step_on(arena, mine, topic, oldest, 1)
    return consumer if journal.commit(arena) == L.OK else L.DAMAGED


def end(arena: Words, mine: Words, consumer: word) -> word:
    """End a subscription; the publisher need not wait for it any more. OK or DAMAGED."""
    topic: word = low(arena[consumers.at(arena, mine, consumer) + L.CONSUMER_OF])
    place: word = queues.at(arena, mine, topic)
    uncount(arena, mine, consumer, next_of(arena, mine, consumer))
    consumers.unlink(arena, mine, consumer)
    awaited: word = queues.signal(arena, place, topic, L.QUEUE_EVENT_ROOM)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    queues.deliver(arena, place, awaited, L.WAKE_ALL)
    return L.OK


def unsubscribe(arena: Words, mine: Words, topic: word, consumer: word) -> word:
    """End this member's own subscription: OK, or NOT_FOUND if it has ended."""
    if not consumers.is_of(arena, mine, consumer, topic, L.KIND_TOPIC):
        return L.NOT_FOUND
    return end(arena, mine, consumer)


def read(arena: Words, mine: Words, topic: word, consumer: word, newest: word) -> word:
    """Read a subscriber's next item, or with `newest` the newest: OK, EMPTY, CLOSED, or no room.

    The item is in the private words. NOT_FOUND: it is not this member's subscription.
    """
    if not consumers.is_of(arena, mine, consumer, topic, L.KIND_TOPIC):
        return L.NOT_FOUND
    at: word = consumers.at(arena, mine, consumer)
    place: word = queues.at(arena, mine, topic)
    before: word = next_of(arena, mine, consumer)
    item: word = high(arena[place + L.QUEUE_LIST]) if newest != 0 else before
    cursor: word = arena[at + L.CONSUMER_CURSOR]
    if item == 0:
        return L.CLOSED if queues.is_closed(arena, place) else L.EMPTY
    status: word = items.read(arena, mine, item)
    if status != L.OK:
        return journal.cancel(arena, status)
    if newest == 0 and ticket_of(arena, mine, item) > cursor:
        cursor = arena[at + L.CONSUMER_MISSED] + ticket_of(arena, mine, item) - cursor
        journal.put(arena, at + L.CONSUMER_MISSED, cursor)
    uncount(arena, mine, consumer, before)
    step_on(arena, mine, topic, low(arena[queues.item_at(arena, mine, item) + L.ITEM_LINKS]), 1)
    journal.put(arena, at + L.CONSUMER_CURSOR, ticket_of(arena, mine, item) + 1)
    journal.put(arena, at + L.CONSUMER_LAST, item)
    status = queues.signal(arena, place, topic, L.QUEUE_EVENT_ROOM)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    if mine[L.MINE_ITEM_OBJECT] != 0:
        set_record(mine, mine[L.MINE_ITEM_OBJECT], mine[L.MINE_ITEM_HOLDER])
    queues.deliver(arena, place, status, 1)
    return L.OK
