"""Put a value into an item's record, take it out, and drop it: parts of the transactions of queues.

State. An item is READY in its queue's list, RETURNED in its heap, or LEASED to a consumer record.
Its value is in the record itself, or in an object that it holds by a holder record of kind
HOLDER_QUEUE, with the description beside it. So a value needs neither its sender nor its receiver.

A new item's ticket, value and payload are stored without the journal: the record is free until the
commit, and nobody reads a free record. Therefore a record that is given back must not be taken
again in the same transaction: a roll-back would bring an item back whose payload was overwritten.
So whoever makes room for a new item drops the old one in a transaction of its own.

A value passes in and out through the private words, as a name's description does.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import consumers, holders, objects, queues, returned
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.private import note_look, record_of
    from ..store.words import Words, high, low, pair, store, word
    from . import free, hold


def new(arena: Words, mine: Words, queue: word, form: word, obj: word) -> word:
    """Make an item of the value in the private words: its index, or why not. No commit.

    obj : the object that the value lies in, which this member holds; 0: the value is the payload.
    """
    place: word = queues.at(arena, mine, queue)
    ticket: word = arena[place + L.QUEUE_NEXT_TICKET]
    count: word = mine[L.MINE_DESCRIPTION_BYTES]
    holder: word = 0
    k: word = 0
    if obj != 0 and record_of(mine, obj) == 0:
        return L.NOT_HELD
    item: word = tables.take(arena, mine, L.TABLE_ITEMS)
    if item >= L.STATUS:
        return item
    if obj != 0:
        holder = holders.link(arena, mine, obj, L.SLOT_QUEUES, L.HOLDER_QUEUE)
        if holder >= L.STATUS:
            return holder
    at: word = tables.place(mine, L.TABLE_ITEMS, item)
    store(arena, at + L.ITEM_TICKET, ticket)
    store(arena, at + L.ITEM_VALUE, pair(holder, count))
    count = (count + L.WORD_BYTES - 1) // L.WORD_BYTES
    while k < count and k < L.ITEM_PAYLOAD_WORDS:
        store(arena, at + L.ITEM_PAYLOAD + k, mine[L.MINE_DESCRIPTION + k])
        k += 1
    journal.put(
        arena,
        at + L.ITEM_STATE,
        queue | L.ITEM_STATE_READY << L.ITEM_STATE_SHIFT | form << L.ITEM_FORM_SHIFT,
    )
    queues.append(arena, mine, queue, item)
    queues.count_ready(arena, place, 1)
    journal.put(arena, place + L.QUEUE_NEXT_TICKET, ticket + 1)
    return item


def state(arena: Words, mine: Words, item: word) -> word:
    """Return an item's state."""
    value: word = arena[queues.item_at(arena, mine, item) + L.ITEM_STATE]
    return value >> L.ITEM_STATE_SHIFT & L.ITEM_STATE_MASK


def set_state(arena: Words, mine: Words, item: word, old: word, new: word) -> None:
    """Move an item from one state to another. Stores: 1 word."""
    place: word = queues.item_at(arena, mine, item) + L.ITEM_STATE
    journal.ensure(arena, arena[place] >> L.ITEM_STATE_SHIFT & L.ITEM_STATE_MASK == old)
    journal.put(arena, place, arena[place] ^ (old ^ new) << L.ITEM_STATE_SHIFT)


def oldest(arena: Words, mine: Words, queue: word) -> word:
    """Return the item with the smallest ticket that can be taken, 0 if there is none."""
    place: word = queues.at(arena, mine, queue)
    first: word = low(arena[place + L.QUEUE_LIST])
    root: word = low(arena[place + L.QUEUE_RETURNED])
    if first == 0 or root == 0:
        return first | root
    if returned.ticket(arena, mine, root) < returned.ticket(arena, mine, first):
        return root
    return first


def take_out(arena: Words, mine: Words, queue: word, item: word) -> None:
    """Take the oldest item out of the list or the heap that it is in. No commit."""
    place: word = queues.at(arena, mine, queue)
    if low(arena[place + L.QUEUE_RETURNED]) == item:
        journal.ensure(arena, state(arena, mine, item) == L.ITEM_STATE_RETURNED)
        journal.put(arena, place + L.QUEUE_RETURNED, returned.without_root(arena, mine, item))
    else:
        journal.ensure(arena, state(arena, mine, item) == L.ITEM_STATE_READY)
        queues.pop(arena, mine, queue)


def give_back(arena: Words, mine: Words, item: word) -> None:
    """Put a leased item back to its place. No commit; the caller signals that there is an item."""
    at: word = queues.item_at(arena, mine, item)
    queue: word = low(arena[at + L.ITEM_STATE])
    place: word = queues.at(arena, mine, queue)
    root: word = low(arena[place + L.QUEUE_RETURNED])
    consumers.remove_lease(arena, mine, item)
    consumers.remove_timed(arena, mine, queue, item)
    set_state(arena, mine, item, L.ITEM_STATE_LEASED, L.ITEM_STATE_RETURNED)
    journal.put(arena, place + L.QUEUE_RETURNED, returned.add(arena, mine, root, item))
    journal.ensure(arena, high(arena[place + L.QUEUE_COUNTS]) > 0)
    journal.put(arena, place + L.QUEUE_COUNTS, arena[place + L.QUEUE_COUNTS] - pair(0, 1) + 1)


def drop(arena: Words, mine: Words, item: word) -> None:
    """Drop an item's value and give its record back. No commit. Needs: it is on no list."""
    at: word = queues.item_at(arena, mine, item)
    holder: word = low(arena[at + L.ITEM_VALUE])
    if holder != 0:
        free.let_go(arena, mine, holder)
    journal.put(arena, at + L.ITEM_STATE, 0)
    tables.give(arena, mine, L.TABLE_ITEMS, item)


def read(arena: Words, mine: Words, item: word) -> word:
    """Copy an item into the private words and hold its object by a pin: OK, FULL, NO_RECORDS.

    No commit. The caller stores MINE_ITEM_OBJECT's record in the private table after it: the record
    is in MINE_ITEM_HOLDER.
    """
    at: word = queues.item_at(arena, mine, item)
    value: word = arena[at + L.ITEM_STATE]
    holder: word = low(arena[at + L.ITEM_VALUE])
    count: word = high(arena[at + L.ITEM_VALUE])
    k: word = 0
    record: word
    journal.ensure(arena, count <= L.ITEM_PAYLOAD_WORDS * L.WORD_BYTES)
    mine[L.MINE_ITEM] = item
    mine[L.MINE_ITEM_TICKET] = arena[at + L.ITEM_TICKET]
    mine[L.MINE_ITEM_ATTEMPTS] = value >> L.ITEM_ATTEMPTS_SHIFT
    mine[L.MINE_ITEM_FORM] = value >> L.ITEM_FORM_SHIFT & L.ITEM_FORM_MASK
    mine[L.MINE_ITEM_OBJECT] = 0
    mine[L.MINE_DESCRIPTION_BYTES] = count
    count = (count + L.WORD_BYTES - 1) // L.WORD_BYTES
    while k < count and k < L.ITEM_PAYLOAD_WORDS:
        mine[L.MINE_DESCRIPTION + k] = arena[at + L.ITEM_PAYLOAD + k]
        k += 1
    if holder == 0:
        return L.OK
    journal.ensure(arena, holders.kind_of(arena, mine, holder) == L.HOLDER_QUEUE)
    obj: word = holders.object_of(arena, mine, holder)
    record = record_of(mine, obj)
    if record == 0:
        record = hold.own_record(arena, mine, obj)
        if record >= L.STATUS:
            return record
    note_look(mine, obj)
    if not holders.add_count(arena, mine, record, L.BY_PIN):
        return L.FULL
    mine[L.MINE_ITEM_OBJECT] = obj
    mine[L.MINE_ITEM_GENERATION] = objects.generation(arena, mine, obj)
    mine[L.MINE_ITEM_HOLDER] = record
    return L.OK
