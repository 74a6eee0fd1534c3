"""Give absent blocks memory, when frames run short.

Steps. begin: ONLINE -> POPULATING, with an owner. From here on, the absent blocks that it chose
are unpunched, since they may have memory at any moment. Outside the lock, the owner allocates it.
finish: ONLINE; these blocks are not absent, and their frames are free. online.abort: if there was
no memory.

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


def begin(arena: Words, mine: Words, section: word, most: word) -> word:
    """Begin to populate a section: at most `most` of its absent blocks, as bits; or an error."""
    if arena[L.CHANGING] != 0:
        return L.ONLINE_BUSY
    if sections.state(arena, mine, section) != L.SECTION_STATE_ONLINE:
        return L.WRONG_STATE
    missing: word = sections.absent(arena, mine, section)
    chosen: word = first_blocks(missing, most)
    if chosen == 0:
        return L.WRONG_STATE
    left: word = sections.unpunched(arena, mine, section) | chosen
    sections.set_blocks(arena, mine, section, missing, left)
    sections.take(arena, mine, section, L.SECTION_STATE_ONLINE, L.SECTION_STATE_POPULATING)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return chosen


def finish(arena: Words, mine: Words, blocks: word) -> word:
    """Make the frames of absent blocks free (I1), which have memory now: OK or NOT_OWNER."""
    section: word = sections.owned(arena, mine)
    if section >= L.STATUS:
        return L.NOT_OWNER
    zone: word = zones.of_section(mine, section)
    start: word = (section << mine[L.MINE_SECTION_SHIFT]) - zones.first(mine, zone)
    missing: word = sections.absent(arena, mine, section)
    blocks &= missing
    left: word = sections.unpunched(arena, mine, section) & ~blocks
    sections.give_up(arena, mine, section, L.SECTION_STATE_POPULATING, L.SECTION_STATE_ONLINE)
    sections.set_blocks(arena, mine, section, missing & ~blocks, left)
    free_blocks(arena, mine, zone, start, blocks)
    return journal.commit(arena)


def first_blocks(blocks: word, most: word) -> word:
    """Return the lowest `most` of some blocks, as bits."""
    found: word = 0
    while blocks != 0 and most > 0:  # bound: SECTION_BLOCKS_MAX
        found |= blocks & ~(blocks - 1)
        blocks &= blocks - 1
        most -= 1
    return found


def free_blocks(arena: Words, mine: Words, zone: word, start: word, blocks: word) -> None:
    """Make the frames of blocks free; the first block begins at `start`. No commit."""
    one: word = 1
    size: word = one << mine[L.MINE_BLOCK_SHIFT]
    frames: word
    while blocks != 0:  # bound: SECTION_BLOCKS_MAX
        frames = 0
        while blocks & 1 != 0:  # blocks beside each other are one run
            frames += size
            blocks >>= 1
        if frames != 0:
            free_runs.set_run(arena, mine, zone, start, frames, 1)
            zones.add_free(arena, zone, frames)
        start += frames + size
        blocks >>= 1
