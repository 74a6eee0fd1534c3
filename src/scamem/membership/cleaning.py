"""Clean the frames of an object that ended: new pages where I/O may go on, no stale memdescs.

Runs in fork-safe code: no Python object, no descriptor. Pages go back to the kernel, and others
come in their place, through the direct map, so no descriptor has to be trusted here.
"""

import cython
from cython.cimports.posix.mman import MADV_REMOVE, madvise
from cython.cimports.scamem.core import objects
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import Words, high, low, word
from cython.cimports.scamem.core.transactions import clean


def clean_frames(arena: Words, mine: Words, obj: word) -> word:
    """Do the work of the member that cleans, outside the arena's lock: OK, or why not.

    NO_FRAMES: the kernel has no memory for new pages.
    DAMAGED: the object, or a run of it, cannot be.
    """
    status: word
    if not tables.valid(arena, mine, L.TABLE_OBJECTS, obj):
        return L.DAMAGED
    if objects.flags(arena, mine, obj) & L.OBJECT_TAINTED != 0:
        status = renew_pages(arena, mine, obj)
        if status != L.OK:
            return status
    return clean.undescribe(arena, mine, obj)


def renew_pages(arena: Words, mine: Words, obj: word) -> word:
    """Give an object's pages back to the kernel and take new ones in their place.

    Whoever still writes to the old pages, a device or a pipe, writes to nobody's memory from then
    on. All are given back before the first is taken, so nothing more is needed than was there.
    """
    status: word = each_run(arena, mine, obj, MADV_REMOVE)
    return each_run(arena, mine, obj, MADV_POPULATE_WRITE) if status == L.OK else status


def each_run(arena: Words, mine: Words, obj: word, advice: cython.int) -> word:
    """Give one advice for each run of an object: OK, or NO_FRAMES at the first that fails.

    Needs: the object's number can be.
    """
    place: word = tables.place(mine, L.TABLE_OBJECTS, obj)
    run: word = low(arena[place + L.OBJECT_RUNS])
    left: word = low(arena[place + L.OBJECT_NR])
    frames: word
    while run != 0 and left > 0:  # bound: each run has a frame at least
        frames = objects.run_frames(arena, mine, run)
        if frames == 0 or high(frames) > left:
            return L.DAMAGED
        if (
            madvise(
                cython.cast(cython.p_void, mine[L.MINE_DIRECT] + low(frames) * PAGE_BYTES),
                high(frames) * PAGE_BYTES,
                advice,
            )
            != 0
        ):
            return L.NO_FRAMES
        left -= high(frames)
        run = objects.next_run(arena, mine, run)
    return L.OK
