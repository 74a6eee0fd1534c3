"""Bring sections of frames online, and more records of a table.

State. The words ONLINING, ONLINING_INCARNATION name the one section that is coming online and its
owner; one member does this at a time, others take free frames or wait.

Steps. begin: the zone's next section OFFLINE -> ONLINING, owned. Outside the lock the owner gives
memory to its frames, memdescs and part of the tree. finish: ONLINE, its frames free. abort: OFFLINE
again, when there was no memory to have.

Why safe: memory given to an OFFLINE section is nobody's and can be given again; frames become free
only in finish. A dead owner's section is reset by its reaper. Nobody resets a section because its
owner is slow: its late fallocate would be harmless, its late finish would not.

extend_table: records up to a bound have memory; two members doing it at once agree on the larger.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..frames import free_runs, sections
    from ..store import journal
    from ..store import layout as L
    from ..store.words import Words, low, pair, word


def begin(arena: Words, mine: Words, zone: word) -> word:
    """Begin with the zone's next section: its number, ALL_ONLINE or ONLINE_BUSY."""
    about: word = L.ZONES + L.ZONE_WORDS * zone
    next_section: word = arena[about + L.ZONE_NEXT_SECTION]
    private: word = L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * zone
    first: word = mine[private + L.MINE_ZONE_FIRST] >> mine[L.MINE_SECTION_SHIFT]
    count: word = mine[private + L.MINE_ZONE_FRAMES] >> mine[L.MINE_SECTION_SHIFT]
    if arena[L.ONLINING] != 0:
        return L.ONLINE_BUSY
    if next_section >= count:
        return L.ALL_ONLINE
    sections.set_state(
        arena, mine, first + next_section, L.SECTION_STATE_OFFLINE, L.SECTION_STATE_ONLINING
    )
    journal.put(arena, L.ONLINING, pair(first + next_section + 1, mine[L.MINE_SLOT]))
    journal.put(arena, L.ONLINING_INCARNATION, mine[L.MINE_INCARNATION])
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return first + next_section


def finish(arena: Words, mine: Words, zone: word) -> word:
    """Make the section ONLINE and its frames free (I1): OK or NOT_OWNER."""
    about: word = L.ZONES + L.ZONE_WORDS * zone
    index: word = arena[about + L.ZONE_NEXT_SECTION]
    section: word = low(arena[L.ONLINING]) - 1
    one: word = 1
    frames: word = one << mine[L.MINE_SECTION_SHIFT]
    if arena[L.ONLINING] >> L.SHIFT_32 != mine[L.MINE_SLOT]:
        return L.NOT_OWNER
    if arena[L.ONLINING_INCARNATION] != mine[L.MINE_INCARNATION]:
        return L.NOT_OWNER
    sections.set_state(arena, mine, section, L.SECTION_STATE_ONLINING, L.SECTION_STATE_ONLINE)
    journal.put(arena, L.ONLINING, 0)
    free_runs.cover(arena, mine, zone, (index + 1) * frames)
    free_runs.set_run(arena, mine, zone, index * frames, frames, 1)
    journal.put(arena, about + L.ZONE_FREE, arena[about + L.ZONE_FREE] + frames)
    journal.put(arena, about + L.ZONE_ONLINE, arena[about + L.ZONE_ONLINE] + 1)
    journal.put(arena, about + L.ZONE_NEXT_SECTION, index + 1)
    return journal.commit(arena)


def reset(arena: Words, mine: Words) -> None:
    """Make the section that is ONLINING OFFLINE again; no commit."""
    section: word = low(arena[L.ONLINING]) - 1
    journal.ensure(arena, section < mine[L.MINE_SECTIONS])
    if section < mine[L.MINE_SECTIONS]:
        sections.set_state(arena, mine, section, L.SECTION_STATE_ONLINING, L.SECTION_STATE_OFFLINE)
    journal.put(arena, L.ONLINING, 0)


def abort(arena: Words, mine: Words) -> word:
    """Give a section up that this member could not find memory for: OK or NOT_OWNER."""
    if arena[L.ONLINING] >> L.SHIFT_32 != mine[L.MINE_SLOT]:
        return L.NOT_OWNER
    if arena[L.ONLINING_INCARNATION] != mine[L.MINE_INCARNATION]:
        return L.NOT_OWNER
    reset(arena, mine)
    return journal.commit(arena)


def extend_table(arena: Words, mine: Words, table: word, records: word) -> word:
    """Say that a table's first `records` records have memory. Needs: they have."""
    backed: word = L.TABLES + L.TABLE_WORDS * table + L.TABLE_BACKED
    if arena[backed] < records:
        journal.put(arena, backed, records)
    return journal.commit(arena)
