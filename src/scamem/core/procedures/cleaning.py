"""Clean the frames of objects that ended: new pages where I/O may still run, no stale memdescs.

State. transactions/clean.py has the protocol between members: one cleans at a time. Among the
threads of one process, the one that set MINE_CLEANING, under the local lock, cleans.

Steps. begin, under both locks. Both are given up while the pages are renewed and the memdescs
overwritten, however long that takes. Both are taken again for finish or abort. Only then is
MINE_CLEANING cleared, under the local lock.

Why safe: the frames belong to nobody until finish. Another thread of this process finds
MINE_CLEANING set and leaves the object alone: a late punch of its own would hit the frames' next
owner. No thread leaves the arena meanwhile (leaving.py). A forked child clears the mark: the thread
that set it does not exist there. A thread that could not get the locks back clears it too, since it
has stopped; the object is still named in CLEANING, and the next thread to clean does all of it
again.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import objects
    from ..store import layout as L
    from ..store import tables
    from ..store.words import Words, high, low, word
    from ..transactions import clean
    from . import entering, letting_go, local_lock, waiting
    from .host import table


def clean_frames(arena: Words, mine: Words, obj: word) -> word:
    """Do the work of the member that cleans, outside both locks: OK, or an error.

    NO_FRAMES: the kernel has no memory for new pages. DAMAGED: no such object can exist.
    """
    status: word = L.OK
    if not tables.valid(arena, mine, L.TABLE_OBJECTS, obj):
        return L.DAMAGED
    if objects.flags(arena, mine, obj) & L.OBJECT_TAINTED != 0:
        # All are given back before the first is taken, so no more memory is needed than before.
        status = renew(arena, mine, obj, 0)
        if status == L.OK:
            status = renew(arena, mine, obj, 1)
    if status != L.OK:
        return status
    return clean.undescribe(arena, mine, obj)


def renew(arena: Words, mine: Words, obj: word, again: word) -> word:
    """Give an object's pages back to the kernel, or take new ones: OK, NO_FRAMES or DAMAGED.

    A device or a pipe that still writes to the old pages then writes to nobody's memory.
    """
    place: word = tables.place(mine, L.TABLE_OBJECTS, obj)
    run: word = low(arena[place + L.OBJECT_RUNS])
    left: word = low(arena[place + L.OBJECT_NR])
    frames: word
    while run != 0 and left > 0:  # bound: each run has a frame at least
        frames = objects.run_frames(arena, mine, run)
        if frames == 0 or high(frames) > left:
            return L.DAMAGED
        if not table.renew(mine, low(frames), high(frames), again):
            return L.NO_FRAMES
        left -= high(frames)
        run = objects.next_run(arena, mine, run)
    return L.OK


def clean_some(arena: Words, mine: Words, watch: Words) -> word:
    """Clean all objects that need it: OK, or an error with no lock held. Needs: both locks held."""
    status: word
    obj: word
    if mine[L.MINE_CLEANING] != 0:
        return L.OK  # another thread is cleaning
    obj = clean.begin(arena, mine)
    while obj < L.STATUS:
        mine[L.MINE_CLEANING] = 1
        entering.leave(arena, mine)
        status = clean_frames(arena, mine, obj)
        waiting.begin(watch, L.CLEAN_NS)
        if waiting.come_back(arena, mine, watch) != L.OK:
            local_lock.lock()
            mine[L.MINE_CLEANING] = 0
            letting_go.release()
            return L.BUSY
        if status == L.OK:
            clean.finish(arena, mine)
        else:
            clean.abort(arena, mine)
        mine[L.MINE_CLEANING] = 0
        if status != L.OK:
            return L.OK
        obj = clean.begin(arena, mine)
    return L.OK


def free_dying(arena: Words, mine: Words, watch: Words) -> None:
    """Clean and free ended objects, then give up both locks. Needs: both locks held."""
    if arena[L.CLEANING_HEAD] != 0 or arena[L.CLEANING] != 0:
        if clean_some(arena, mine, watch) != L.OK:
            return
    letting_go.free_runs(arena, mine)
    letting_go.release()


def clean_left(arena: Words, mine: Words, watch: Words) -> None:
    """Clean and free ended objects, if both locks are free now. No lock is held."""
    if entering.enter(arena, mine) == L.OK:
        free_dying(arena, mine, watch)
