"""The memdesc: one word per frame, {type 4, object 28, generation 32}.

The memdesc of a frame in use says which object it belongs to, and which generation of it. Nothing
is cleared when an object is freed: its generation moves on, and the words left behind are stale.
Node, zone and section need no bits here; they follow from the pfn (sections.py).

Memdescs are stored without the log, by the one member that owns the object while it is ALLOCATING.
They are read without the lock: a reader checks the object's generation after reading the word.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.words import Words, load_acquire, store, word


def make(obj: word, generation: word) -> word:
    """Return the memdesc of an object's frames."""
    return (
        L.MEMDESC_SCAMEM
        | obj << L.MEMDESC_OBJECT_SHIFT
        | (generation & L.MASK_32) << L.MEMDESC_GENERATION_SHIFT
    )


def object_of(memdesc: word) -> word:
    """Return the object that a memdesc names, 0 if it names none."""
    if memdesc & L.MEMDESC_TYPE_MASK != L.MEMDESC_SCAMEM:
        return 0
    return memdesc >> L.MEMDESC_OBJECT_SHIFT & L.MASK_28


def generation_of(memdesc: word) -> word:
    """Return the low half of the generation that a memdesc names."""
    return memdesc >> L.MEMDESC_GENERATION_SHIFT


def read(arena: Words, mine: Words, pfn: word) -> word:
    """Read a frame's memdesc. Needs: the pfn is in range and its section was once online."""
    return load_acquire(arena, mine[L.MINE_MEMDESCS_AT] + pfn)


def describe_run(arena: Words, mine: Words, start: word, count: word, memdesc: word) -> None:
    """Store the memdescs of a run. Needs: its object is ALLOCATING and the caller's."""
    at: word = mine[L.MINE_MEMDESCS_AT] + start
    end: word = at + count
    while at < end:  # bound: the run; under the lock only for MEMDESCS_INSIDE_MAX frames
        store(arena, at, memdesc)
        at += 1
