"""Finish what ended: give back the runs of DYING objects, and empty the queues among them.

State. A queue whose object lost its last holder record is on the list QUEUES_ENDING; its object is
DYING, and on no other list yet.

Steps. end_some takes one step, one transaction: it gives one run of a DYING object back; if there
is none, it takes the first ending queue and drops one of its consumer records or leases, then one
of its items, each with its reference. When nothing is left, the record is free, and the object goes
on to be freed as others are. An item that was itself a queue becomes the first of the list:
nothing recurses, however deep queues lie in queues.

Why safe: as free.py. Nobody holds the queue, so nobody takes from it meanwhile.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import objects, queues
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.words import Words, low, word
    from . import free, items, settle


def has_work(arena: Words) -> bool:
    """Tell whether anything that ended has still to be freed."""
    return arena[L.DYING_HEAD] != 0 or arena[L.QUEUES_ENDING] != 0


def end_some(arena: Words, mine: Words) -> word:
    """Free one run, or drop one item: MORE; DONE if there is nothing left to do."""
    if arena[L.DYING_HEAD] != 0:
        return free.free_some(arena, mine)
    queue: word = arena[L.QUEUES_ENDING]
    return L.DONE if queue == 0 else empty_one(arena, mine, queue)


def empty_one(arena: Words, mine: Words, queue: word) -> word:
    """Drop one thing of a queue that ended, in the end the record: MORE or DAMAGED."""
    place: word = queues.at(arena, mine, queue)
    item: word = items.oldest(arena, mine, queue)
    consumer: word = low(arena[place + L.QUEUE_CONSUMERS])
    if consumer != 0:
        return settle.settle(arena, mine, consumer)
    if item != 0:
        items.take_out(arena, mine, queue, item)
        items.drop(arena, mine, item)
        queues.count_ready(arena, place, L.ALL_ONES)
    else:
        bury(arena, mine, queue)
    return L.MORE if journal.commit(arena) == L.OK else L.DAMAGED


def bury(arena: Words, mine: Words, queue: word) -> None:
    """Give the record of an empty queue back, and its object to be freed. No commit."""
    place: word = queues.at(arena, mine, queue)
    obj: word = low(arena[place + L.QUEUE_OBJECT])
    journal.ensure(arena, arena[place + L.QUEUE_COUNTS] == 0)
    journal.put(arena, L.QUEUES_ENDING, low(arena[place + L.QUEUE_LINK]))
    journal.put(arena, place + L.QUEUE_OBJECT, 0)
    tables.give(arena, mine, L.TABLE_QUEUES, queue)
    objects.clear_flags(arena, mine, obj, L.OBJECT_QUEUE)
    free.line_up(arena, mine, obj)
