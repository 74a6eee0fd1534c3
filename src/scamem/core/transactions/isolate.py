"""Keep a section's free frames from all others while the section's objects move away.

State. An ALLOCATING object of the member that empties the section. It takes the section's free
frames, and is never described or LIVE. When it is released, they are free as before.

Steps. take, one run at a time: moves the longest free run of the section from the tree to the
object, in one transaction. Frames that become free in the section later are taken in another round.

Why safe: to all others, the frames are in use by an object that is being allocated. If its owner
dies, the reaper drops its record, and its runs go back one by one (alloc.py, free.py). Frames that
are promised to a request under way are left to it.

Tried and failed: only searching for the copies' frames outside the section. Meanwhile other members
are given the frames that were just emptied.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import objects
    from ..frames import free_runs, nodes, sections, zones
    from ..store import journal
    from ..store import layout as L
    from ..store.words import Words, word


def take(arena: Words, mine: Words, obj: word, section: word) -> word:
    """Take one run of a section's free frames: MORE, DONE if there is none; or an error.

    IN_USE: they are promised to others. NO_RECORDS: try again. Needs: `obj` is ALLOCATING.
    """
    if not objects.is_owned(arena, mine, obj, L.OBJECT_STATE_ALLOCATING):
        return L.NOT_OWNER
    if sections.state(arena, mine, section) != L.SECTION_STATE_ONLINE:
        return L.WRONG_STATE
    zone: word = zones.of_section(mine, section)
    level: word = mine[L.MINE_TREE_HEIGHT]
    first: word = zones.first(mine, zone)
    index: word = section - (first >> mine[L.MINE_SECTION_SHIFT])
    count: word = nodes.longest_in(arena, mine, zone, level, index)
    start: word = index << mine[L.MINE_SECTION_SHIFT]
    if count == 0:
        return L.DONE
    if count > zones.unpromised(arena, zone):
        return L.IN_USE
    if count < nodes.node_size(mine, level):
        start = free_runs.find_below(arena, mine, zone, level, index, count)
        if start >= L.STATUS:
            journal.ensure(arena, False)
            return L.DAMAGED
    free_runs.set_run(arena, mine, zone, start, count, 0)
    zones.subtract_free(arena, zone, count)
    status: word = objects.append_run(arena, mine, obj, start + first, count)
    if status != L.OK:
        return journal.cancel(arena, status)
    return L.MORE if journal.commit(arena) == L.OK else L.DAMAGED
