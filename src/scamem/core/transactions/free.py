"""Free an object: its last holder record makes it DYING, then its runs go back one by one.

Steps. let_go, part of every transaction that drops a holder record: removes the record. If it was
the last one (I3), the remaining reservation is returned and the object becomes DYING. An object of
one run is freed at once, in the same transaction. If the only record that is left belongs to a weak
name, the name and its record go in the same transaction, and the object with them. free_some: gives
back one run of the first DYING object. With its last run, the generation moves on (so every memdesc
of it is stale) and the record is free. An object whose frames must be cleaned first goes through
clean.py.

Why weak names go here: they go in the transaction that drops the last other reference, so nobody
finds a name whose object nobody holds, and nothing has to look for such names later. A weak name
that is replaced or unpublished clears the object's mark first (publish.py).

Why safe: DYING objects are on a list in the arena and every step is a transaction, so any member
can continue: a reaper, an allocation that needs frames, a look at the arena. Two members may
alternate on one object.

Who finishes: the member that dropped the last record, in a loop; after its death, any member.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import areas, holders, objects
    from ..frames import free_runs, zones
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.words import Words, high, low, word


def let_go(arena: Words, mine: Words, holder: word) -> None:
    """Drop a holder record; the last one ends its object. No commit. Needs: it has no loans."""
    obj: word = holders.object_of(arena, mine, holder)
    place: word = objects.at(arena, mine, obj)
    state: word = objects.state(arena, mine, obj)
    holders.unlink(arena, mine, holder)
    if objects.count(arena, mine, obj) == 1:
        if objects.flags(arena, mine, obj) & L.OBJECT_WEAK != 0:
            end_weak_name(arena, mine, obj)
    if objects.count(arena, mine, obj) != 0:
        return
    if state == L.OBJECT_STATE_ALLOCATING:
        about: word = L.ZONES + L.ZONE_WORDS * objects.zone(arena, mine, obj)
        left: word = high(arena[place + L.OBJECT_LINK])
        journal.ensure(arena, arena[about + L.ZONE_RESERVED] >= left)
        journal.put(arena, about + L.ZONE_RESERVED, arena[about + L.ZONE_RESERVED] - left)
    journal.put(arena, L.OBJECTS_COUNT, arena[L.OBJECTS_COUNT] - 1)
    objects.set_state(arena, mine, obj, state, L.OBJECT_STATE_DYING)
    if objects.flags(arena, mine, obj) & L.OBJECT_UNCLEAN != 0:
        journal.put(arena, place + L.OBJECT_LINK, arena[L.CLEANING_HEAD])
        journal.put(arena, L.CLEANING_HEAD, obj)
        return
    runs: word = arena[place + L.OBJECT_RUNS]
    if low(runs) == high(runs):
        give_back(arena, mine, obj, objects.take_first_run(arena, mine, obj))
        bury(arena, mine, obj)
        return
    journal.put(arena, place + L.OBJECT_LINK, arena[L.DYING_HEAD])
    journal.put(arena, L.DYING_HEAD, obj)


def end_weak_name(arena: Words, mine: Words, obj: word) -> None:
    """Remove the weak name of an object that nothing else holds, and its record. No commit."""
    holder: word = low(arena[objects.at(arena, mine, obj) + L.OBJECT_HOLDERS])
    area: word = low(arena[holders.at(arena, mine, holder) + L.HOLDER_LOANS])
    if holders.kind_of(arena, mine, holder) != L.HOLDER_AREA:
        journal.ensure(arena, False)
        return
    if not tables.valid(arena, mine, L.TABLE_AREAS, area):
        journal.ensure(arena, False)
        return
    areas.unlink(arena, mine, area)
    holders.unlink(arena, mine, holder)


def give_back(arena: Words, mine: Words, obj: word, run: word) -> None:
    """Make a run's frames free. No commit. Needs: it is off its object."""
    if run == 0:
        return
    # Zone of the frames, not of the object: an object may have runs in several zones of one kind.
    zone: word = zones.of(mine, low(run))
    if high(run) == 0 or zone >= L.ZONES_MAX or zones.of(mine, low(run) + high(run) - 1) != zone:
        journal.ensure(arena, False)
        return
    free_runs.set_run(arena, mine, zone, low(run) - zones.first(mine, zone), high(run), 1)
    zones.add_free(arena, zone, high(run))


def bury(arena: Words, mine: Words, obj: word) -> None:
    """End a DYING object without runs: a new generation, and the record is free. No commit."""
    place: word = objects.at(arena, mine, obj)
    generation: word = arena[place + L.OBJECT_GENERATION] + 1
    journal.put(arena, place + L.OBJECT_GENERATION, generation)
    if low(generation) == 0:
        objects.set_state(arena, mine, obj, L.OBJECT_STATE_DYING, L.OBJECT_STATE_RETIRED)
        return
    objects.set_state(arena, mine, obj, L.OBJECT_STATE_DYING, L.OBJECT_STATE_FREE)
    tables.give(arena, mine, L.TABLE_OBJECTS, obj)


def free_some(arena: Words, mine: Words) -> word:
    """Give one run of the first DYING object back: MORE, or DONE when none is DYING."""
    obj: word = arena[L.DYING_HEAD]
    if obj == 0:
        return L.DONE
    place: word = objects.at(arena, mine, obj)
    following: word = low(arena[place + L.OBJECT_LINK])
    give_back(arena, mine, obj, objects.take_first_run(arena, mine, obj))
    if low(arena[place + L.OBJECT_RUNS]) == 0:
        journal.put(arena, L.DYING_HEAD, following)
        bury(arena, mine, obj)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return L.MORE
