"""Keep the free frames of a section from everybody, while what else is there moves away.

State. An ALLOCATING object of the member that empties the section: it takes the section's free
frames, and is never described or LIVE. When it is let go of, they are free as before.

Steps. take, a run at a time: the longest free run of the section leaves the tree and hangs on the
object, in one transaction. Frames that become free in the section later are taken by another round.

Why safe: to everybody else the frames are in use by an object that is being allocated. Its owner
dead, reap lets go of it, and its runs go back one by one (alloc.py, free.py). Frames that a request
under way was promised are left to it.

Tried and failed: searching for the copies' frames beside the section: meanwhile others are given
what was just emptied.
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
    """Take one run of a section's free frames: MORE, DONE if there is none; or why not.

    IN_USE: they were promised to others. NO_RECORDS: to try again. Needs: `obj` is ALLOCATING.
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
