"""Queues and topics: one record for each, which belongs to an object with the flag OBJECT_QUEUE.

The object makes a queue a thing like all others: it is held, named, sent, copied by fork, reaped
and freed as an object is. The record has the items' list, and the words that members wait on.

Waiting. Each queue has three counters of its own, each a futex: more items, more room, nothing
unfinished. A waiter reads one under the arena's lock, together with the state that it is not
satisfied with; unlocks; sets the bit of QUEUE_AWAITED; naps while the counter is the same. A
transaction that may satisfy it calls `signal` before its commit, which changes the counter, and
`deliver` after it, which wakes as many waiters as there are items or places, and clears the bit
when no more were asleep.

Why no wake is lost. The counter changes before the commit, so that whoever read it before cannot
fall asleep afterwards. If the bit is set, QUEUE_WAKING names the queue from before the commit until
all are woken: a member that takes the lock over from a dead one wakes all of them (lock.py). A bit
that is cleared belongs to nobody asleep: one who set it meanwhile had read the counter before, and
does not fall asleep. A waiter that stops, or dies, with a wake that was meant for it: the first
passes it on, and the naps of the others end.

Who cannot nap on one counter, since it waits for several queues, sets the bit WATCHED, and waits
for the arena's EVENT_QUEUES.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import events, tables
    from .store import layout as L
    from .store.journal import ensure, put
    from .store.words import (
        Words,
        compare_exchange,
        exchange,
        futex_wake,
        high,
        load_acquire,
        low,
        pair,
        store,
        word,
    )


def at(arena: Words, mine: Words, queue: word) -> word:
    """Return the place of a queue's record; that of record 0 for an invalid index."""
    return tables.at(arena, mine, L.TABLE_QUEUES, queue)


def item_at(arena: Words, mine: Words, item: word) -> word:
    """Return the place of an item's record; that of record 0 for an invalid index."""
    return tables.at(arena, mine, L.TABLE_ITEMS, item)


def is_of(arena: Words, mine: Words, queue: word, obj: word) -> bool:
    """Tell whether a record is that of an object's queue; any numbers may be passed."""
    if not tables.valid(arena, mine, L.TABLE_QUEUES, queue):
        return False
    return low(arena[tables.place(mine, L.TABLE_QUEUES, queue) + L.QUEUE_OBJECT]) == obj


def kind(arena: Words, place: word) -> word:
    """Return KIND_QUEUE or KIND_TOPIC, of the record at a place."""
    return arena[place + L.QUEUE_OBJECT] >> L.QUEUE_KIND_SHIFT & L.MASK_8


def policy(arena: Words, place: word) -> word:
    """Return what happens if more is put into a full queue."""
    return arena[place + L.QUEUE_OBJECT] >> L.QUEUE_POLICY_SHIFT & L.MASK_8


def is_closed(arena: Words, place: word) -> bool:
    """Tell whether nothing more can be put into a queue."""
    return arena[place + L.QUEUE_OBJECT] >> L.QUEUE_CLOSED_SHIFT != 0


def is_full(arena: Words, place: word) -> bool:
    """Tell whether a queue has as many items as it may have, those that are leased included."""
    most: word = arena[place + L.QUEUE_MAXSIZE]
    counts: word = arena[place + L.QUEUE_COUNTS]
    return most != 0 and low(counts) + high(counts) >= most


def count_ready(arena: Words, place: word, more: word) -> None:
    """Add to the number of items that can be taken (modulo 2 ** 64). Stores: 1 word."""
    put(arena, place + L.QUEUE_COUNTS, arena[place + L.QUEUE_COUNTS] + more & L.ALL_ONES)


def count_leased(arena: Words, place: word) -> None:
    """Count one item as leased that could be taken before. Stores: 1 word."""
    ensure(arena, low(arena[place + L.QUEUE_COUNTS]) > 0)
    put(arena, place + L.QUEUE_COUNTS, arena[place + L.QUEUE_COUNTS] + pair(0, 1) - 1)


def end_event(arena: Words, place: word) -> word:
    """Return the event of a closed queue that is empty now: who waits for an item gets none."""
    if is_closed(arena, place) and arena[place + L.QUEUE_COUNTS] == 0:
        return L.QUEUE_EVENT_ITEMS
    return 0


def append(arena: Words, mine: Words, queue: word, item: word) -> None:
    """Put an item at the list's end; the caller counts it. Stores: at most 3 words."""
    place: word = at(arena, mine, queue)
    oldest: word = low(arena[place + L.QUEUE_LIST])
    newest: word = high(arena[place + L.QUEUE_LIST])
    put(arena, item_at(arena, mine, item) + L.ITEM_LINKS, 0)
    if newest != 0:
        put(arena, item_at(arena, mine, newest) + L.ITEM_LINKS, item)
    else:
        oldest = item
    put(arena, place + L.QUEUE_LIST, pair(oldest, item))


def pop(arena: Words, mine: Words, queue: word) -> word:
    """Take the oldest item off the list; 0 if there is none. Stores: at most 1 word."""
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


def event_at(place: word, event: word) -> word:
    """Return the place of a counter, by its QUEUE_EVENT_ bit."""
    if event == L.QUEUE_EVENT_ITEMS:
        return place + L.QUEUE_ITEMS_EVENT
    if event == L.QUEUE_EVENT_ROOM:
        return place + L.QUEUE_ROOM_EVENT
    return place + L.QUEUE_DONE_EVENT


def signal(arena: Words, place: word, queue: word, which: word) -> word:
    """Change counters before a commit; return the bits of those that may be waited for."""
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


def forget(arena: Words, place: word, bits: word) -> None:
    """Clear bits of QUEUE_AWAITED."""
    seen: word = arena[place + L.QUEUE_AWAITED]
    while seen & bits != 0:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, place + L.QUEUE_AWAITED, seen, seen & ~bits):
            return
        seen = arena[place + L.QUEUE_AWAITED]


def announce(arena: Words, place: word, bits: word) -> None:
    """Announce that this member will wait for a counter that it has read. No lock."""
    seen: word = arena[place + L.QUEUE_AWAITED]
    while seen & bits != bits:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, place + L.QUEUE_AWAITED, seen, seen | bits):
            return
        seen = arena[place + L.QUEUE_AWAITED]


def deliver(arena: Words, place: word, awaited: word, count: word) -> None:
    """Wake up to `count` waiters for items or room; of a closed queue, and for the rest, all.

    Needs: lock held, committed.
    """
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


def recover(arena: Words, mine: Words) -> None:
    """Wake all waiters of the queue whose waiters a dead member was waking. Needs: lock held."""
    queue: word = arena[L.QUEUE_WAKING]
    if queue == 0:
        return
    if tables.valid(arena, mine, L.TABLE_QUEUES, queue):
        deliver(arena, tables.place(mine, L.TABLE_QUEUES, queue), L.QUEUE_EVENTS_ALL, L.WAKE_ALL)
    store(arena, L.QUEUE_WAKING, 0)
