"""Mark an object whose bytes are a pickle that a member wrote.

State. OBJECT_PICKLED in the object's state word. It goes with the object: a free record has no
flags (objects.set_state).

Steps. One transaction, by a member that holds the object, after the bytes are written.

Why safe: the mark is one word. A member that dies before it leaves an object that nobody takes for
a pickle, and that its reaper gives back. If it dies after it, nobody has a handle of it yet.

Why the arena keeps the mark: a handle says that its object is a pickle, but handles are bytes that
anybody may have changed. The arena must say what an object is. Otherwise, somebody could turn an
array's handle into the handle of a pickle, and the array's bytes would be unpickled.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import objects
    from ..store import journal
    from ..store import layout as L
    from ..store.private import record_of
    from ..store.words import Words, word


def mark(arena: Words, mine: Words, obj: word) -> word:
    """Note that this member wrote a pickle to an object that it holds: OK or NOT_HELD."""
    if record_of(mine, obj) == 0:
        return L.NOT_HELD
    objects.set_flag(arena, mine, obj, L.OBJECT_PICKLED)
    return journal.commit(arena)
