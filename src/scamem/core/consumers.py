"""Consumer records: what one member has of one queue, so that its reaper can settle it.

A record is on its member's list and on its queue's. That of a queue counts the items that the
member took without a lease and has not said to be done, and lists its leases, newest first. That of
a topic is one subscription: which item it reads next.

A lease is an item of the list. One that ends by itself is also on the queue's list of those,
sorted by the end; a new one is compared with the last few only, so a short lease behind many longer
ones may be noticed late.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L
    from .store import tables
    from .store.journal import ensure, put
    from .store.words import Words, high, low, pair, word


def at(arena: Words, mine: Words, consumer: word) -> word:
    """Return the place of a consumer record; that of record 0 for an invalid index."""
    return tables.at(arena, mine, L.TABLE_CONSUMERS, consumer)


def whose(queue: word, slot: word, kind: word) -> word:
    """Return the word that says what a record is of."""
    return queue | slot << L.CONSUMER_SLOT_SHIFT | kind << L.CONSUMER_KIND_SHIFT


def is_of(arena: Words, mine: Words, consumer: word, queue: word, kind: word) -> bool:
    """Tell whether a record is this member's, of a queue; any numbers may be passed."""
    if not tables.valid(arena, mine, L.TABLE_CONSUMERS, consumer):
        return False
    place: word = tables.place(mine, L.TABLE_CONSUMERS, consumer)
    return arena[place + L.CONSUMER_OF] == whose(queue, mine[L.MINE_SLOT], kind)


def find(arena: Words, mine: Words, queue: word) -> word:
    """Return this member's record of a queue, 0 if it has none.

    Bound: as many queues as the member takes from. Members keep the number afterwards.
    """
    consumer: word = arena[tables.slot_at(mine, mine[L.MINE_SLOT]) + L.SLOT_CONSUMERS]
    left: word = arena[L.TABLES + L.TABLE_WORDS * L.TABLE_CONSUMERS + L.TABLE_NEXT]
    place: word
    while consumer != 0 and left > 0:
        place = at(arena, mine, consumer)
        if arena[place + L.CONSUMER_OF] == whose(queue, mine[L.MINE_SLOT], L.KIND_QUEUE):
            return consumer
        consumer = low(arena[place + L.CONSUMER_SLOT_LINKS])
        left -= 1
    return 0


def link(arena: Words, mine: Words, queue: word, kind: word) -> word:
    """Make a record for this member: its index, or NO_RECORDS. Stores: at most 12 words."""
    consumer: word = tables.take(arena, mine, L.TABLE_CONSUMERS)
    if consumer >= L.STATUS:
        return consumer
    place: word = tables.place(mine, L.TABLE_CONSUMERS, consumer)
    slot_at: word = tables.slot_at(mine, mine[L.MINE_SLOT]) + L.SLOT_CONSUMERS
    queue_at: word = tables.at(arena, mine, L.TABLE_QUEUES, queue) + L.QUEUE_CONSUMERS
    first: word = arena[slot_at]
    links: word
    put(arena, place + L.CONSUMER_OF, whose(queue, mine[L.MINE_SLOT], kind))
    put(arena, place + L.CONSUMER_TAKEN, 0)
    put(arena, place + L.CONSUMER_LEASES, 0)
    put(arena, place + L.CONSUMER_MISSED, 0)
    put(arena, place + L.CONSUMER_SLOT_LINKS, first)
    if first != 0:
        links = at(arena, mine, first) + L.CONSUMER_SLOT_LINKS
        put(arena, links, pair(low(arena[links]), consumer))
    put(arena, slot_at, consumer)
    first = low(arena[queue_at])
    put(arena, place + L.CONSUMER_QUEUE_LINKS, first)
    if first != 0:
        links = at(arena, mine, first) + L.CONSUMER_QUEUE_LINKS
        put(arena, links, pair(low(arena[links]), consumer))
    put(arena, queue_at, pair(consumer, high(arena[queue_at]) + 1))
    return consumer


def take_off(arena: Words, mine: Words, consumer: word, head: word, offset: word) -> None:
    """Take a record off one of its lists. Stores: at most 2 words."""
    place: word = at(arena, mine, consumer)
    following: word = low(arena[place + offset])
    before: word = high(arena[place + offset])
    links: word
    if before != 0:
        links = at(arena, mine, before) + offset
        put(arena, links, pair(following, high(arena[links])))
    else:
        ensure(arena, low(arena[head]) == consumer)
        put(arena, head, pair(following, high(arena[head])))
    if following != 0:
        links = at(arena, mine, following) + offset
        put(arena, links, pair(low(arena[links]), before))


def unlink(arena: Words, mine: Words, consumer: word) -> None:
    """Take a record off both lists and give it back. Needs: it has no lease. At most 8 words."""
    place: word = at(arena, mine, consumer)
    value: word = arena[place + L.CONSUMER_OF]
    slot: word = value >> L.CONSUMER_SLOT_SHIFT & L.MASK_16
    slot_at: word = tables.slot_at(mine, slot) + L.SLOT_CONSUMERS
    queue_at: word = tables.at(arena, mine, L.TABLE_QUEUES, low(value)) + L.QUEUE_CONSUMERS
    ensure(arena, arena[place + L.CONSUMER_LEASES] == 0)
    take_off(arena, mine, consumer, slot_at, L.CONSUMER_SLOT_LINKS)
    take_off(arena, mine, consumer, queue_at, L.CONSUMER_QUEUE_LINKS)
    ensure(arena, high(arena[queue_at]) > 0)
    put(arena, queue_at, arena[queue_at] - pair(0, 1))
    put(arena, place + L.CONSUMER_OF, 0)
    tables.give(arena, mine, L.TABLE_CONSUMERS, consumer)


def add_lease(arena: Words, mine: Words, consumer: word, item: word) -> None:
    """Put an item on a record's list of leases. Stores: at most 4 words."""
    head: word = at(arena, mine, consumer) + L.CONSUMER_LEASES
    first: word = low(arena[head])
    item_at: word = tables.at(arena, mine, L.TABLE_ITEMS, item)
    links: word
    put(arena, item_at + L.ITEM_LINKS, first)
    put(arena, item_at + L.ITEM_OWNER, consumer)
    if first != 0:
        links = tables.at(arena, mine, L.TABLE_ITEMS, first) + L.ITEM_LINKS
        put(arena, links, pair(low(arena[links]), item))
    put(arena, head, pair(item, high(arena[head]) + 1))


def remove_lease(arena: Words, mine: Words, item: word) -> None:
    """Take an item off its list of leases. Stores: at most 2 words."""
    item_at: word = tables.at(arena, mine, L.TABLE_ITEMS, item)
    head: word = at(arena, mine, low(arena[item_at + L.ITEM_OWNER])) + L.CONSUMER_LEASES
    following: word = low(arena[item_at + L.ITEM_LINKS])
    before: word = high(arena[item_at + L.ITEM_LINKS])
    first: word = low(arena[head])
    links: word
    ensure(arena, high(arena[head]) > 0)
    if before != 0:
        links = tables.at(arena, mine, L.TABLE_ITEMS, before) + L.ITEM_LINKS
        put(arena, links, pair(following, high(arena[links])))
    else:
        ensure(arena, first == item)
        first = following
    if following != 0:
        links = tables.at(arena, mine, L.TABLE_ITEMS, following) + L.ITEM_LINKS
        put(arena, links, pair(low(arena[links]), before))
    put(arena, head, pair(first, high(arena[head]) - 1))


def add_timed(arena: Words, mine: Words, queue: word, item: word, until_ns: word) -> None:
    """Note when a lease ends, 0 for never. Stores: at most 5 words."""
    item_at: word = tables.at(arena, mine, L.TABLE_ITEMS, item)
    ends: word = tables.at(arena, mine, L.TABLE_QUEUES, queue) + L.QUEUE_TIMED
    before: word = high(arena[ends])
    following: word = 0
    left: word = L.TIMED_LOOKED_AT
    links: word
    put(arena, item_at + L.ITEM_UNTIL_NS, until_ns)
    if until_ns == 0:
        return
    while before != 0 and left > 0:
        links = tables.at(arena, mine, L.TABLE_ITEMS, before)
        if arena[links + L.ITEM_UNTIL_NS] <= until_ns:
            break
        following = before
        before = high(arena[links + L.ITEM_TIMED])
        left -= 1
    put(arena, item_at + L.ITEM_TIMED, pair(following, before))
    join_timed(arena, mine, ends, before, item, following, item)


def join_timed(
    arena: Words, mine: Words, ends: word, before: word, after: word, following: word, prior: word
) -> None:
    """Let the item `before` be followed by `after`, and `following` be preceded by `prior`."""
    links: word
    if before != 0:
        links = tables.at(arena, mine, L.TABLE_ITEMS, before) + L.ITEM_TIMED
        put(arena, links, pair(after, high(arena[links])))
    else:
        put(arena, ends, pair(after, high(arena[ends])))
    if following != 0:
        links = tables.at(arena, mine, L.TABLE_ITEMS, following) + L.ITEM_TIMED
        put(arena, links, pair(low(arena[links]), prior))
    else:
        put(arena, ends, pair(low(arena[ends]), prior))


def remove_timed(arena: Words, mine: Words, queue: word, item: word) -> None:
    """Forget when a lease ends. Stores: at most 3 words."""
    item_at: word = tables.at(arena, mine, L.TABLE_ITEMS, item)
    ends: word = tables.at(arena, mine, L.TABLE_QUEUES, queue) + L.QUEUE_TIMED
    links: word = arena[item_at + L.ITEM_TIMED]
    if arena[item_at + L.ITEM_UNTIL_NS] == 0:
        return
    join_timed(arena, mine, ends, high(links), low(links), low(links), high(links))
    put(arena, item_at + L.ITEM_UNTIL_NS, 0)
