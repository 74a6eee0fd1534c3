"""Sections: aligned runs of frames of one zone that come online and go offline as a whole.

| from | to | function |
| --- | --- | --- |
| OFFLINE | ONLINING | transactions.online.begin |
| ONLINING | ONLINE | transactions.online.finish |
| ONLINING | OFFLINE | transactions.online.reset |
| ONLINE, OFFLINE | OFFLINING | transactions.offline.begin |
| OFFLINING | OFFLINE | transactions.offline.finish, transactions.online.reset |
| ONLINE | TRIMMING | transactions.trim.begin |
| TRIMMING | ONLINE | transactions.trim.finish, transactions.online.reset |
| ONLINE | POPULATING | transactions.populate.begin |
| POPULATING | ONLINE | transactions.populate.finish, transactions.online.reset |

All states but OFFLINE and ONLINE have an owner: {section, slot} in the word CHANGING, and the
incarnation beside it. One section of an arena changes at a time. `reset` is for an owner that gives
up, or for the member that reaps it.

A block of a section that is ONLINE, TRIMMING or POPULATING may be *absent*: it has no memory, and
its frames are used in the tree but in no object. A block that is absent or not online is
*unpunched* if it may have memory although nobody can be given it: a death left it behind, and the
next trim gives it back.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.journal import ensure, put
    from ..store.words import Words, low, pair, word


def at(mine: Words, section: word) -> word:
    """Return the place of a section's record. Needs: section < MINE_SECTIONS."""
    return mine[L.MINE_SECTIONS_AT] + L.SECTION_WORDS * section


def state(arena: Words, mine: Words, section: word) -> word:
    """Return a section's state; for an invalid number, a value that is no state."""
    if section >= mine[L.MINE_SECTIONS]:
        return L.MASK_8
    return arena[at(mine, section) + L.SECTION_STATE] & L.MASK_8


def absent(arena: Words, mine: Words, section: word) -> word:
    """Return which blocks of a section are absent, as bits."""
    return arena[at(mine, section)] >> L.SECTION_ABSENT_SHIFT & all_blocks(mine)


def unpunched(arena: Words, mine: Words, section: word) -> word:
    """Return which blocks of a section may have memory that nobody can use, as bits."""
    return arena[at(mine, section)] >> L.SECTION_UNPUNCHED_SHIFT & all_blocks(mine)


def all_blocks(mine: Words) -> word:
    """Return a bit for each block that a section has."""
    one: word = 1
    return (one << (one << (mine[L.MINE_SECTION_SHIFT] - mine[L.MINE_BLOCK_SHIFT]))) - 1


def set_blocks(arena: Words, mine: Words, section: word, absent: word, unpunched: word) -> None:
    """Store which blocks of a section are absent, and which are unpunched; no commit."""
    place: word = at(mine, section)
    kept: word = arena[place] & L.MASK_32
    kept |= absent << L.SECTION_ABSENT_SHIFT | unpunched << L.SECTION_UNPUNCHED_SHIFT
    if arena[place] != kept:
        put(arena, place, kept)


def set_flags(arena: Words, mine: Words, section: word, flags: word) -> None:
    """Store a section's flags; no commit."""
    place: word = at(mine, section)
    known: word = L.SECTION_BACKED | L.SECTION_KEPT
    put(arena, place, arena[place] & ~known | flags)


def flags(arena: Words, mine: Words, section: word) -> word:
    """Return a section's flags."""
    known: word = L.SECTION_BACKED | L.SECTION_KEPT
    return arena[at(mine, section)] & known


def set_state(arena: Words, mine: Words, section: word, old: word, new: word) -> None:
    """Move a section along one edge of the table above."""
    place: word = at(mine, section) + L.SECTION_STATE
    value: word = arena[place]
    ensure(arena, value & L.MASK_8 == old)
    put(arena, place, value - old + new)


def take(arena: Words, mine: Words, section: word, old: word, new: word) -> None:
    """Move a section into a state that this member owns. Needs: CHANGING is 0."""
    set_state(arena, mine, section, old, new)
    put(arena, L.CHANGING, pair(section + 1, mine[L.MINE_SLOT]))
    put(arena, L.CHANGING_INCARNATION, mine[L.MINE_INCARNATION])


def give_up(arena: Words, mine: Words, section: word, old: word, new: word) -> None:
    """Move the section named in CHANGING into a state that nobody owns."""
    set_state(arena, mine, section, old, new)
    put(arena, L.CHANGING, 0)


def owned(arena: Words, mine: Words) -> word:
    """Return the section that this member changes, or NOT_OWNER."""
    if arena[L.CHANGING] >> L.SHIFT_32 != mine[L.MINE_SLOT]:
        return L.NOT_OWNER
    if arena[L.CHANGING_INCARNATION] != mine[L.MINE_INCARNATION]:
        return L.NOT_OWNER
    if low(arena[L.CHANGING]) == 0 or low(arena[L.CHANGING]) > mine[L.MINE_SECTIONS]:
        return L.NOT_OWNER
    return low(arena[L.CHANGING]) - 1
