"""Allocate an object: reserve frames, take runs, describe the frames, make the object LIVE.

State. An ALLOCATING object has an owner (objects.py). Its link word holds the number of frames that
are still reserved for it. The zone's sum of reservations keeps these frames from all others.

Steps. reserve: makes the record and the holder record, and promises the frames, in one transaction.
Two large requests never starve each other: every allocation, even a small one, asks for the free
frames minus the reserved ones. take_run, once per run: takes one run if a free run is long enough,
else the longest one; the reservation and the free count change with it. one_run, if one run holds
the whole object: does both at once, and nothing is ever reserved. describe: stores the memdescs,
outside the lock (for small objects: inside). finish: makes the object LIVE.

Why safe, by where the owner dies. Before reserve commits: nothing happened. Later: the object is
ALLOCATING, and its holder record is on the dead member's list. The reaper drops that record, which
returns the remaining reservation and makes the object DYING; its runs go back one by one. Memdescs
of an object that was never LIVE become stale when its generation moves on, at the end of DYING.

Why one_run commits before anything is described: memdescs are not logged. A roll-back of the
allocation would leave memdescs of an object that never existed, under a generation used again.

Who finishes: the owner, or the member that reaps its slot. Nobody else, however slow the owner is.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders, objects
    from ..frames import free_runs, memdesc, zones
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.private import set_record
    from ..store.words import Words, high, low, pair, word


def begin_object(
    arena: Words, mine: Words, zone: word, frames: word, reserved: word, by: word
) -> word:
    """Make an ALLOCATING object that this member holds; no commit.

    `frames` must be free and not promised; `reserved` of them are then promised to this object.
    """
    about: word = zones.at(zone)
    if arena[about + L.ZONE_RESERVED] > arena[about + L.ZONE_FREE]:
        journal.ensure(arena, False)  # each promise was kept back from what was free
        return L.DAMAGED
    if zones.unpromised(arena, zone) < frames:
        return L.NO_FRAMES
    obj: word = tables.take(arena, mine, L.TABLE_OBJECTS)
    if obj >= L.STATUS:
        return obj
    objects.begin(arena, mine, obj, zone)
    journal.put(arena, tables.place(mine, L.TABLE_OBJECTS, obj) + L.OBJECT_LINK, pair(0, reserved))
    if reserved != 0:
        journal.put(arena, about + L.ZONE_RESERVED, arena[about + L.ZONE_RESERVED] + reserved)
    journal.put(arena, L.OBJECTS_COUNT, arena[L.OBJECTS_COUNT] + 1)
    holder: word = holders.link(arena, mine, obj, mine[L.MINE_SLOT], L.HOLDER_MEMBER)
    if holder >= L.STATUS:
        return holder
    holders.add_count(arena, mine, holder, by)
    return obj


def move_run(arena: Words, mine: Words, obj: word, zone: word, wanted: word) -> word:
    """Move one run of at most `wanted` free frames into an object; return how many. No commit."""
    count: word = free_runs.longest(arena, mine, zone)
    start: word
    if count >= wanted:
        count = wanted
    # Large objects come from the top, small ones from the bottom, to not scatter the large.
    if count >= L.LARGE_FRAMES:
        start = free_runs.find_highest(arena, mine, zone, count)
    else:
        start = free_runs.find_lowest(arena, mine, zone, count)
    frames: word = mine[L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * zone + L.MINE_ZONE_FRAMES]
    if count == 0 or start >= frames or count > frames - start:
        journal.ensure(arena, False)  # nodes that do not agree lead outside the zone
        return L.DAMAGED
    free_runs.set_run(arena, mine, zone, start, count, 0)
    status: word = objects.append_run(arena, mine, obj, start + zones.first(mine, zone), count)
    if status != L.OK:
        return status
    zones.subtract_free(arena, zone, count)
    return count


def reserve(arena: Words, mine: Words, zone: word, frames: word, by: word) -> word:
    """Begin a large object: its index, or an error. Needs: lock held, journal empty (I7)."""
    obj: word = begin_object(arena, mine, zone, frames, frames, by)
    if obj >= L.STATUS:
        return journal.cancel(arena, obj)
    status: word = journal.commit(arena)
    if status != L.OK:
        return status
    set_record(mine, obj, low(arena[objects.at(arena, mine, obj) + L.OBJECT_HOLDERS]))
    return obj


def take_run(arena: Words, mine: Words, obj: word) -> word:
    """Give a large object one more run: MORE, OK if it now has all, NO_RECORDS to try again."""
    if not objects.is_owned(arena, mine, obj, L.OBJECT_STATE_ALLOCATING):
        return L.NOT_OWNER
    link: word = objects.at(arena, mine, obj) + L.OBJECT_LINK
    wanted: word = high(arena[link])
    zone: word = objects.zone(arena, mine, obj)
    reserved: word = zones.at(zone) + L.ZONE_RESERVED
    count: word = move_run(arena, mine, obj, zone, wanted)
    if count >= L.STATUS:
        return journal.cancel(arena, count)
    journal.put(arena, reserved, arena[reserved] - count)
    journal.put(arena, link, pair(0, wanted - count))
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return L.MORE if wanted > count else L.OK


def describe(arena: Words, mine: Words, obj: word) -> word:
    """Store the memdescs of an object's frames. Needs no lock: the object is this member's."""
    if not objects.is_owned(arena, mine, obj, L.OBJECT_STATE_ALLOCATING):
        return L.NOT_OWNER
    value: word = memdesc.make(obj, objects.generation(arena, mine, obj))
    return describe_runs(arena, mine, obj, value)


def describe_runs(arena: Words, mine: Words, obj: word, value: word) -> word:
    """Store a memdesc for each of an object's frames. Needs: this member owns or cleans it."""
    if not tables.valid(arena, mine, L.TABLE_OBJECTS, obj):
        return L.DAMAGED
    run: word = low(arena[tables.place(mine, L.TABLE_OBJECTS, obj) + L.OBJECT_RUNS])
    left: word = mine[L.MINE_FRAMES]
    while run != 0:  # bound: the arena's frames, each described once at most
        frames: word = objects.run_frames(arena, mine, run)
        if frames == 0 or high(frames) > left:
            return L.DAMAGED
        left -= high(frames)
        memdesc.describe_run(arena, mine, low(frames), high(frames), value)
        run = objects.next_run(arena, mine, run)
    return L.OK


def finish(arena: Words, mine: Words, obj: word) -> word:
    """Make an object LIVE. Needs: lock held, all frames taken and described (I4, I5)."""
    if not objects.is_owned(arena, mine, obj, L.OBJECT_STATE_ALLOCATING):
        return L.NOT_OWNER
    journal.ensure(arena, high(arena[objects.at(arena, mine, obj) + L.OBJECT_LINK]) == 0)
    objects.set_state(arena, mine, obj, L.OBJECT_STATE_ALLOCATING, L.OBJECT_STATE_LIVE)
    return journal.commit(arena)


def one_run(arena: Words, mine: Words, zone: word, frames: word, by: word) -> word:
    """Begin an object that fits one run, with all its frames; describe() and finish() follow.

    Returns its index, or NO_RUN if it needs several runs: then use reserve() and so on. Needs:
    lock held, journal empty (I7).
    """
    if free_runs.longest(arena, mine, zone) < frames:
        return L.NO_RUN
    obj: word = begin_object(arena, mine, zone, frames, 0, by)
    status: word = obj
    if obj < L.STATUS:
        status = move_run(arena, mine, obj, zone, frames)
    if status >= L.STATUS:
        return journal.cancel(arena, status)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    set_record(mine, obj, low(arena[objects.at(arena, mine, obj) + L.OBJECT_HOLDERS]))
    return obj


def small(arena: Words, mine: Words, zone: word, frames: word, by: word) -> word:
    """Allocate an object of at most MEMDESCS_INSIDE_MAX frames under one hold of the lock.

    Returns and needs the same as one_run().
    """
    obj: word = one_run(arena, mine, zone, frames, by)
    if obj >= L.STATUS:
        return obj
    if describe(arena, mine, obj) != L.OK or finish(arena, mine, obj) != L.OK:
        return L.DAMAGED
    return obj
