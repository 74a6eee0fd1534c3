"""Give the memory of free blocks back to the system while the arena lives.

State. A block of an ONLINE section may be absent: it has no memory, and its frames are used in the
tree but in no object. `unpunched` blocks are absent (or of an OFFLINE section) and may have memory.

Steps. begin: ONLINE -> TRIMMING, with an owner. Some blocks that are wholly free and not promised
become absent and unpunched, their frames used. Outside the lock, the owner punches the unpunched
blocks. finish: ONLINE, no block unpunched. The memory of an OFFLINE section goes the same way, by
offline.begin. populate.py brings absent blocks back.

Why safe: no frame without memory can be allocated, since its block leaves the tree in the
transaction before the punch, and comes back only after the fallocate. If the owner dies, its reaper
makes the section ONLINE; its blocks stay absent, and unpunched, for the next trim. While the owner
lives, however slow, nobody else populates the section, so its late punch hits no data.

Tried and failed: punching free blocks and then taking them out of the tree. An allocation between
the two gets frames without memory, or loses what it wrote.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..frames import free_runs, sections, zones
    from ..store import journal
    from ..store import layout as L
    from ..store.words import Words, word


def take_blocks(arena: Words, mine: Words, section: word, most: word) -> word:
    """Take at most `most` free blocks of a section out of the tree; return them. No commit."""
    zone: word = zones.of_section(mine, section)
    start: word = (section << mine[L.MINE_SECTION_SHIFT]) - zones.first(mine, zone)
    left: word = sections.all_blocks(mine) & ~sections.absent(arena, mine, section)
    one: word = 1
    bit: word = 1
    size: word = one << mine[L.MINE_BLOCK_SHIFT]
    taken: word = 0
    while left != 0 and most > 0:  # bound: SECTION_BLOCKS_MAX
        if left & bit != 0 and zones.unpromised(arena, zone) >= size:
            if free_runs.is_free(arena, mine, zone, start, size):
                free_runs.set_run(arena, mine, zone, start, size, 0)
                zones.subtract_free(arena, zone, size)
                taken |= bit
                most -= 1
        left &= ~bit
        bit <<= 1
        start += size
    return taken


def begin(arena: Words, mine: Words, section: word, most: word) -> word:
    """Begin to trim a section: its blocks to be punched, as bits; or an error.

    NOT_FOUND: it has none, since no block of it is free, or all of them are promised.
    """
    if arena[L.CHANGING] != 0:
        return L.ONLINE_BUSY
    if sections.state(arena, mine, section) != L.SECTION_STATE_ONLINE:
        return L.WRONG_STATE
    taken: word = take_blocks(arena, mine, section, most)
    left: word = sections.unpunched(arena, mine, section) | taken
    if left == 0:
        return L.NOT_FOUND
    sections.set_blocks(arena, mine, section, sections.absent(arena, mine, section) | taken, left)
    sections.take(arena, mine, section, L.SECTION_STATE_ONLINE, L.SECTION_STATE_TRIMMING)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return left


def finish(arena: Words, mine: Words) -> word:
    """End a trim. Needs: the unpunched blocks have been punched. OK or NOT_OWNER."""
    section: word = sections.owned(arena, mine)
    if section >= L.STATUS:
        return L.NOT_OWNER
    sections.give_up(arena, mine, section, L.SECTION_STATE_TRIMMING, L.SECTION_STATE_ONLINE)
    sections.set_blocks(arena, mine, section, sections.absent(arena, mine, section), 0)
    return journal.commit(arena)
