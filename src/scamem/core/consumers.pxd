"""C functions; written from consumers.py by tools/generate_headers.py. Change that one."""
cimport cython
from .store cimport layout as L
from .store cimport tables
from .store.journal cimport ensure, put
from .store.words cimport Words, high, low, pair, word

cdef inline word at(Words arena, Words mine, word consumer) noexcept nogil:
    return tables.at(arena, mine, L.TABLE_CONSUMERS, consumer)

cdef inline word whose(word queue, word slot, word kind) noexcept nogil:
    return queue | slot << L.CONSUMER_SLOT_SHIFT | kind << L.CONSUMER_KIND_SHIFT

cdef inline bint is_of(Words arena, Words mine, word consumer, word queue, word kind) noexcept nogil:
    if not tables.valid(arena, mine, L.TABLE_CONSUMERS, consumer):
        return False
    place: word = tables.place(mine, L.TABLE_CONSUMERS, consumer)
    return arena[place + L.CONSUMER_OF] == whose(queue, mine[L.MINE_SLOT], kind)

cdef inline word find(Words arena, Words mine, word queue) noexcept nogil:
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

cdef inline word link(Words arena, Words mine, word queue, word kind) noexcept nogil:
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

cdef inline void take_off(Words arena, Words mine, word consumer, word head, word offset) noexcept nogil:
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

cdef inline void unlink(Words arena, Words mine, word consumer) noexcept nogil:
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

cdef inline void add_lease(Words arena, Words mine, word consumer, word item) noexcept nogil:
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

cdef inline void remove_lease(Words arena, Words mine, word item) noexcept nogil:
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

cdef inline void add_timed(Words arena, Words mine, word queue, word item, word until_ns) noexcept nogil:
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

cdef inline void join_timed(Words arena, Words mine, word ends, word before, word after, word following, word prior) noexcept nogil:
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

cdef inline void remove_timed(Words arena, Words mine, word queue, word item) noexcept nogil:
    item_at: word = tables.at(arena, mine, L.TABLE_ITEMS, item)
    ends: word = tables.at(arena, mine, L.TABLE_QUEUES, queue) + L.QUEUE_TIMED
    links: word = arena[item_at + L.ITEM_TIMED]
    if arena[item_at + L.ITEM_UNTIL_NS] == 0:
        return
    join_timed(arena, mine, ends, high(links), low(links), low(links), high(links))
    put(arena, item_at + L.ITEM_UNTIL_NS, 0)
