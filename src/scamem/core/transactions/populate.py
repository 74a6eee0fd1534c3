"""Give absent blocks memory again, when frames run short.

Steps. begin: ONLINE -> POPULATING, with an owner. From here on, all absent blocks of the section
are unpunched, since they may have memory at any moment. Outside the lock, the owner allocates it.
finish: ONLINE; no block is absent, and their frames are free. online.abort: if there was no memory.

Why safe: frames become free only in finish, after the fallocate. If the owner dies, its blocks stay
absent and unpunched: the next trim or the next populate continues from there.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..frames import free_runs, sections, zones
    from ..store import journal
    from ..store import layout as L
    from ..store.words import Words, word


def begin(arena: Words, mine: Words, section: word) -> word:
    """Begin to populate a section: its absent blocks, as bits; or an error."""
    if arena[L.CHANGING] != 0:
        return L.ONLINE_BUSY
    if sections.state(arena, mine, section) != L.SECTION_STATE_ONLINE:
        return L.WRONG_STATE
    missing: word = sections.absent(arena, mine, section)
    if missing == 0:
        return L.WRONG_STATE
    sections.set_blocks(arena, mine, section, missing, missing)
    sections.take(arena, mine, section, L.SECTION_STATE_ONLINE, L.SECTION_STATE_POPULATING)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return missing


def finish(arena: Words, mine: Words) -> word:
    """Make the frames of the section's absent blocks free (I1): OK or NOT_OWNER."""
    section: word = sections.owned(arena, mine)
    if section >= L.STATUS:
        return L.NOT_OWNER
    zone: word = zones.of_section(mine, section)
    start: word = (section << mine[L.MINE_SECTION_SHIFT]) - zones.first(mine, zone)
    missing: word = sections.absent(arena, mine, section)
    one: word = 1
    size: word = one << mine[L.MINE_BLOCK_SHIFT]
    sections.give_up(arena, mine, section, L.SECTION_STATE_POPULATING, L.SECTION_STATE_ONLINE)
    sections.set_blocks(arena, mine, section, 0, 0)
    while missing != 0:  # bound: SECTION_BLOCKS_MAX
        if missing & 1 != 0:
            free_runs.set_run(arena, mine, zone, start, size, 1)
            zones.add_free(arena, zone, size)
        missing >>= 1
        start += size
    return journal.commit(arena)
