"""Clean the frames of an object that ended, before they can be used again.

Why frames need cleaning. TAINTED: a member died with I/O under way, and a device may still write to
those pages after the kernel has forgotten the process. MOVED: the memdescs of the frames may name
another object, which may be LIVE.

State. Such an object is DYING. It is on the list CLEANING_HEAD instead of the list of DYING objects
(free.py), or it is the one named in CLEANING: {object, slot}, with the owner's incarnation beside
it. One member cleans at a time.

Steps. begin: takes the first object off the list and names it in CLEANING. Outside the lock, the
owner gives the pages of a tainted object back to the kernel and takes new ones in their place (the
device keeps the old pages, which now belong to nobody), and overwrites the memdescs. finish: clears
the flags and moves the object to the DYING objects, whose runs are given back one by one.

Why safe: the frames of a DYING object belong to nobody, so replacing their pages harms nobody, and
the work can be done twice. If the owner dies, its reaper puts the object back on the list (reset).
A slow owner keeps it: its late punch would hit the frames' next owner. An owner that could not get
the lock back finds itself in CLEANING and does all of it again. An owner that got no new pages puts
the object back.

The taint stays until this point, even if others unpin meanwhile: an unpin says that *that* I/O is
done.

Tried and failed: giving pages back when the member is reaped takes the data of others who hold
the object.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import objects
    from ..store import journal
    from ..store import layout as L
    from ..store.words import Words, low, pair, word
    from . import alloc


def is_owner(arena: Words, mine: Words) -> bool:
    """Tell whether this member is the one that cleans now."""
    return (
        arena[L.CLEANING] != 0
        and arena[L.CLEANING] >> L.SHIFT_32 == mine[L.MINE_SLOT]
        and arena[L.CLEANING_INCARNATION] == mine[L.MINE_INCARNATION]
    )


def begin(arena: Words, mine: Words) -> word:
    """Take an object to clean: its index; DONE if there is none, BUSY if another member cleans."""
    if is_owner(arena, mine):
        return low(arena[L.CLEANING])
    if arena[L.CLEANING] != 0:
        return L.BUSY
    obj: word = arena[L.CLEANING_HEAD]
    if obj == 0:
        return L.DONE
    place: word = objects.at(arena, mine, obj)
    journal.put(arena, L.CLEANING_HEAD, low(arena[place + L.OBJECT_LINK]))
    journal.put(arena, place + L.OBJECT_LINK, 0)
    journal.put(arena, L.CLEANING, pair(obj, mine[L.MINE_SLOT]))
    journal.put(arena, L.CLEANING_INCARNATION, mine[L.MINE_INCARNATION])
    return obj if journal.commit(arena) == L.OK else L.DAMAGED


def undescribe(arena: Words, mine: Words, obj: word) -> word:
    """Overwrite the memdescs of the object that this member cleans. Needs no lock."""
    if not is_owner(arena, mine):
        return L.NOT_OWNER
    return alloc.describe_runs(arena, mine, obj, L.MEMDESC_NONE)


def finish(arena: Words, mine: Words) -> word:
    """Leave the object's frames to be freed: OK or NOT_OWNER. Needs: they are clean."""
    if not is_owner(arena, mine):
        return L.NOT_OWNER
    obj: word = low(arena[L.CLEANING])
    place: word = objects.at(arena, mine, obj)
    objects.clear_flags(arena, mine, obj, L.OBJECT_UNCLEAN)
    journal.put(arena, place + L.OBJECT_LINK, arena[L.DYING_HEAD])
    journal.put(arena, L.DYING_HEAD, obj)
    journal.put(arena, L.CLEANING, 0)
    return journal.commit(arena)


def abort(arena: Words, mine: Words) -> word:
    """Leave the object to the next member, since there were no new pages. OK or NOT_OWNER."""
    if not is_owner(arena, mine):
        return L.NOT_OWNER
    reset(arena, mine)
    return journal.commit(arena)


def reset(arena: Words, mine: Words) -> None:
    """Put the object that is being cleaned back on the list; no commit."""
    obj: word = low(arena[L.CLEANING])
    place: word = objects.at(arena, mine, obj)
    journal.put(arena, place + L.OBJECT_LINK, arena[L.CLEANING_HEAD])
    journal.put(arena, L.CLEANING_HEAD, obj)
    journal.put(arena, L.CLEANING, 0)
