"""Bring sections of frames online, and more records of a table.

State. The words CHANGING and CHANGING_INCARNATION name the one section whose state is changing, and
its owner. One member does this at a time; others take free frames or wait.

Steps. The caller finds an OFFLINE section outside the lock. begin: checks it again; OFFLINE ->
ONLINING, with an owner. Outside the lock, the owner gives memory to the frames of some of its
blocks, and to its memdescs and part of the tree. finish: ONLINE, the frames of these blocks are
free; its other blocks are absent (populate.py). abort: OFFLINE again, if there was no memory.

Why safe: memory given to an OFFLINE section belongs to nobody and can be given again; frames become
free only in finish. If the owner dies, its reaper resets the section. The same holds for a section
that goes offline, is trimmed or populated (offline.py, trim.py, populate.py): in none of these
states has anybody been given a frame whose memory may be missing. From begin on, `unpunched` says
that a block may have memory that nobody uses; a trim gives it back. Nobody resets a
section because its owner is slow: its late fallocate would be harmless, its late finish or punch
would not.

extend_table: says that records up to a bound have memory. If two members do it at once, the larger
bound holds.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..frames import free_runs, sections, zones
    from ..store import journal
    from ..store import layout as L
    from ..store.words import Words, low, word
    from . import populate


def begin(arena: Words, mine: Words, section: word, blocks: word) -> word:
    """Begin to bring a section online: its number, ONLINE_BUSY or WRONG_STATE.

    `blocks`, as bits: those that its owner is about to give memory.
    """
    if arena[L.CHANGING] != 0:
        return L.ONLINE_BUSY
    if sections.state(arena, mine, section) != L.SECTION_STATE_OFFLINE:
        return L.WRONG_STATE
    sections.take(arena, mine, section, L.SECTION_STATE_OFFLINE, L.SECTION_STATE_ONLINING)
    blocks |= sections.unpunched(arena, mine, section)
    sections.set_blocks(arena, mine, section, 0, blocks & sections.all_blocks(mine))
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return section


def finish(arena: Words, mine: Words, blocks: word) -> word:
    """Make the section ONLINE and the frames of some blocks free (I1): OK or NOT_OWNER.

    `blocks`, as bits: those that have memory now. The others are absent.
    """
    section: word = sections.owned(arena, mine)
    if section >= L.STATUS:
        return L.NOT_OWNER
    one: word = 1
    frames: word = one << mine[L.MINE_SECTION_SHIFT]
    absent: word = sections.all_blocks(mine) & ~blocks
    left: word = sections.unpunched(arena, mine, section) & absent
    zone: word = zones.of_section(mine, section)
    start: word = (section << mine[L.MINE_SECTION_SHIFT]) - zones.first(mine, zone)
    sections.give_up(arena, mine, section, L.SECTION_STATE_ONLINING, L.SECTION_STATE_ONLINE)
    sections.set_flags(arena, mine, section, L.SECTION_BACKED)
    sections.set_blocks(arena, mine, section, absent, left)
    free_runs.cover(arena, mine, zone, start + frames)
    populate.free_blocks(arena, mine, zone, start, ~absent & sections.all_blocks(mine))
    journal.put(arena, zones.at(zone) + L.ZONE_ONLINE, arena[zones.at(zone) + L.ZONE_ONLINE] + 1)
    return journal.commit(arena)


def reset(arena: Words, mine: Words) -> None:
    """Undo the state change of the section named in CHANGING; no commit."""
    section: word = low(arena[L.CHANGING]) - 1
    if section >= mine[L.MINE_SECTIONS]:
        journal.ensure(arena, False)
        return
    state: word = sections.state(arena, mine, section)
    if state == L.SECTION_STATE_ONLINING or state == L.SECTION_STATE_OFFLINING:
        sections.give_up(arena, mine, section, state, L.SECTION_STATE_OFFLINE)
    else:
        journal.ensure(
            arena, state == L.SECTION_STATE_TRIMMING or state == L.SECTION_STATE_POPULATING
        )
        sections.give_up(arena, mine, section, state, L.SECTION_STATE_ONLINE)


def abort(arena: Words, mine: Words) -> word:
    """Give up the section that this member changes: OK or NOT_OWNER."""
    if sections.owned(arena, mine) >= L.STATUS:
        return L.NOT_OWNER
    reset(arena, mine)
    return journal.commit(arena)


def extend_table(arena: Words, mine: Words, table: word, records: word) -> word:
    """Say that a table's first `records` records have memory. Needs: they have."""
    backed: word = L.TABLES + L.TABLE_WORDS * table + L.TABLE_BACKED
    if arena[backed] < records:
        journal.put(arena, backed, records)
    return journal.commit(arena)
