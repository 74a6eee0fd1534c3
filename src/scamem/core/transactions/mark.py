"""Note of an object that its bytes are a pickle which a member put there.

State. OBJECT_PICKLED in the object's state word; it goes with the object: a record that is free has
no flags (objects.set_state).

Steps. One transaction, by a member that holds the object, after its bytes are there.

Why safe: the mark is one word. Dying before it, the member leaves an object that is no pickle to
anybody and that its reaper gives back; after it, one that nobody has a handle of yet.

Why the arena keeps it: a handle says that its object is a pickle, and handles are bytes that
anybody may have changed. What an object is must be said by the arena, or bytes that an array was
given would be unpickled where somebody turned the array's handle into that of a pickle.
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
    """Say that this member put a pickle into an object that it holds: OK or NOT_HELD."""
    if record_of(mine, obj) == 0:
        return L.NOT_HELD
    objects.set_flag(arena, mine, obj, L.OBJECT_PICKLED)
    return journal.commit(arena)
