"""C functions; written from queues.py by tools/generate_headers.py. Change that one."""
cimport cython
from .store cimport events, tables
from .store cimport layout as L
from .store.journal cimport ensure, put
from .store.words cimport Words, compare_exchange, exchange, futex_wake, high, load_acquire, low, pair, store, word

cdef inline word at(Words arena, Words mine, word queue) noexcept nogil:
    return tables.at(arena, mine, L.TABLE_QUEUES, queue)

cdef inline word item_at(Words arena, Words mine, word item) noexcept nogil:
    return tables.at(arena, mine, L.TABLE_ITEMS, item)

cdef inline bint is_of(Words arena, Words mine, word queue, word obj) noexcept nogil:
    if not tables.valid(arena, mine, L.TABLE_QUEUES, queue):
        return False
    return low(arena[tables.place(mine, L.TABLE_QUEUES, queue) + L.QUEUE_OBJECT]) == obj

cdef inline word kind(Words arena, word place) noexcept nogil:
    return arena[place + L.QUEUE_OBJECT] >> L.QUEUE_KIND_SHIFT & L.MASK_8

cdef inline word policy(Words arena, word place) noexcept nogil:
    return arena[place + L.QUEUE_OBJECT] >> L.QUEUE_POLICY_SHIFT & L.MASK_8

cdef inline bint is_closed(Words arena, word place) noexcept nogil:
    return arena[place + L.QUEUE_OBJECT] >> L.QUEUE_CLOSED_SHIFT != 0

cdef inline bint is_full(Words arena, word place) noexcept nogil:
    most: word = arena[place + L.QUEUE_MAXSIZE]
    counts: word = arena[place + L.QUEUE_COUNTS]
    return most != 0 and low(counts) + high(counts) >= most

cdef inline void count_ready(Words arena, word place, word more) noexcept nogil:
    put(arena, place + L.QUEUE_COUNTS, arena[place + L.QUEUE_COUNTS] + more & L.ALL_ONES)

cdef inline void count_leased(Words arena, word place) noexcept nogil:
    ensure(arena, low(arena[place + L.QUEUE_COUNTS]) > 0)
    put(arena, place + L.QUEUE_COUNTS, arena[place + L.QUEUE_COUNTS] + pair(0, 1) - 1)

cdef inline word end_event(Words arena, word place) noexcept nogil:
    if is_closed(arena, place) and arena[place + L.QUEUE_COUNTS] == 0:
        return L.QUEUE_EVENT_ITEMS
    return 0

cdef inline void append(Words arena, Words mine, word queue, word item) noexcept nogil:
    place: word = at(arena, mine, queue)
    oldest: word = low(arena[place + L.QUEUE_LIST])
    newest: word = high(arena[place + L.QUEUE_LIST])
    put(arena, item_at(arena, mine, item) + L.ITEM_LINKS, 0)
    if newest != 0:
        put(arena, item_at(arena, mine, newest) + L.ITEM_LINKS, item)
    else:
        oldest = item
    put(arena, place + L.QUEUE_LIST, pair(oldest, item))

cdef inline word pop(Words arena, Words mine, word queue) noexcept nogil:
    place: word = at(arena, mine, queue)
    oldest: word = low(arena[place + L.QUEUE_LIST])
    newest: word = high(arena[place + L.QUEUE_LIST])
    if oldest == 0:
        return 0
    following: word = low(arena[item_at(arena, mine, oldest) + L.ITEM_LINKS])
    if following == 0:
        ensure(arena, oldest == newest)
        newest = 0
    put(arena, place + L.QUEUE_LIST, pair(following, newest))
    return oldest

cdef inline word event_at(word place, word event) noexcept nogil:
    if event == L.QUEUE_EVENT_ITEMS:
        return place + L.QUEUE_ITEMS_EVENT
    if event == L.QUEUE_EVENT_ROOM:
        return place + L.QUEUE_ROOM_EVENT
    return place + L.QUEUE_DONE_EVENT

cdef inline word signal(Words arena, word place, word queue, word which) noexcept nogil:
    bit: word = L.QUEUE_EVENT_ITEMS
    awaited: word
    while bit < L.QUEUE_EVENT_WATCHED:
        if which & bit != 0:
            exchange(arena, event_at(place, bit), arena[event_at(place, bit)] + 1 & L.MASK_32)
        bit = bit << 1
    awaited = load_acquire(arena, place + L.QUEUE_AWAITED) & (which | L.QUEUE_EVENT_WATCHED)
    if awaited != 0:
        store(arena, L.QUEUE_WAKING, queue)
    return awaited

cdef inline void forget(Words arena, word place, word bits) noexcept nogil:
    seen: word = arena[place + L.QUEUE_AWAITED]
    while seen & bits != 0:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, place + L.QUEUE_AWAITED, seen, seen & ~bits):
            return
        seen = arena[place + L.QUEUE_AWAITED]

cdef inline void announce(Words arena, word place, word bits) noexcept nogil:
    seen: word = arena[place + L.QUEUE_AWAITED]
    while seen & bits != bits:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, place + L.QUEUE_AWAITED, seen, seen | bits):
            return
        seen = arena[place + L.QUEUE_AWAITED]

cdef inline void deliver(Words arena, word place, word awaited, word count) noexcept nogil:
    bit: word = L.QUEUE_EVENT_ITEMS
    most: word
    if awaited == 0:
        return
    if is_closed(arena, place) or count > L.WAKE_ALL:
        count = L.WAKE_ALL
    while bit < L.QUEUE_EVENT_WATCHED:
        if awaited & bit != 0:
            most = L.WAKE_ALL if bit == L.QUEUE_EVENT_DONE else count
            if cython.cast(word, futex_wake(arena, event_at(place, bit), most)) < most:
                forget(arena, place, bit)
        bit = bit << 1
    if awaited & L.QUEUE_EVENT_WATCHED != 0:
        forget(arena, place, L.QUEUE_EVENT_WATCHED)
        events.post(arena, L.EVENT_QUEUES)
    store(arena, L.QUEUE_WAKING, 0)

cdef inline void recover(Words arena, Words mine) noexcept nogil:
    queue: word = arena[L.QUEUE_WAKING]
    if queue == 0:
        return
    if tables.valid(arena, mine, L.TABLE_QUEUES, queue):
        deliver(arena, tables.place(mine, L.TABLE_QUEUES, queue), L.QUEUE_EVENTS_ALL, L.WAKE_ALL)
    store(arena, L.QUEUE_WAKING, 0)
