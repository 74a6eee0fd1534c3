"""Sections: aligned runs of frames that come online at once, and know their node and zone.

| from | to | function |
| --- | --- | --- |
| OFFLINE | ONLINING | transactions.online.begin |
| ONLINING | ONLINE | transactions.online.finish |
| ONLINING | OFFLINE | transactions.online.abort, by the owner or whoever reaps it |

ONLINING is owned: {section, slot} in the word ONLINING and its incarnation beside it.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.journal import ensure, put
    from ..store.words import Words, word


def at(mine: Words, section: word) -> word:
    """Return the place of a section's record. Needs: section < MINE_SECTIONS."""
    return mine[L.MINE_SECTIONS_AT] + L.SECTION_WORDS * section


def state(arena: Words, mine: Words, section: word) -> word:
    """Return a section's state."""
    return arena[at(mine, section) + L.SECTION_STATE] & L.MASK_8


def set_state(arena: Words, mine: Words, section: word, old: word, new: word) -> None:
    """Move a section along one edge of the table above."""
    place: word = at(mine, section) + L.SECTION_STATE
    value: word = arena[place]
    ensure(arena, value & L.MASK_8 == old)
    put(arena, place, value - old + new)
