"""Take a section offline: nobody can use its frames, and its memory goes back to the system.

State: as in online.py. A section that is taken offline here stays offline (the flag KEPT) until it
is brought online by its number.

Steps. begin: ONLINE -> OFFLINING, with an owner. All its frames that have memory must be free, and
no large request may have been promised them. They become used in the tree, so nobody is given one.
Outside the lock, the owner punches the section. finish: OFFLINE.

Why safe: from begin on, no frame of it can be allocated, so a punch destroys nobody's data, and
`unpunched` says that there is memory. If the owner dies, the section is OFFLINE and still has its
memory: the next trim, or taking it offline again, gives it back. A slow owner keeps it OFFLINING:
nobody brings it online while the owner punches.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..frames import free_runs, sections, zones
    from ..store import journal
    from ..store import layout as L
    from ..store.words import Words, word


def find_present(arena: Words, mine: Words, section: word) -> word:
    """Return how many frames of a section have memory, if all of them are free; else IN_USE."""
    zone: word = zones.of_section(mine, section)
    start: word = (section << mine[L.MINE_SECTION_SHIFT]) - zones.first(mine, zone)
    missing: word = sections.absent(arena, mine, section)
    bits: word = sections.all_blocks(mine)
    one: word = 1
    size: word = one << mine[L.MINE_BLOCK_SHIFT]
    found: word = 0
    while bits != 0:  # bound: SECTION_BLOCKS_MAX
        if missing & 1 == 0:
            if not free_runs.is_free(arena, mine, zone, start, size):
                return L.IN_USE
            found += size
        missing >>= 1
        bits >>= 1
        start += size
    return found


def begin(arena: Words, mine: Words, section: word, kept: word) -> word:
    """Begin to take a section offline: its number, IN_USE, ONLINE_BUSY or WRONG_STATE.

    `kept`: it stays offline. Otherwise: only give back the memory that an OFFLINE section has.
    """
    state: word = sections.state(arena, mine, section)
    if arena[L.CHANGING] != 0:
        return L.ONLINE_BUSY
    if state != L.SECTION_STATE_OFFLINE and (state != L.SECTION_STATE_ONLINE or kept == 0):
        return L.WRONG_STATE
    if state == L.SECTION_STATE_ONLINE:
        present: word = find_present(arena, mine, section)
        zone: word = zones.of_section(mine, section)
        if present >= L.STATUS or zones.unpromised(arena, zone) < present:
            return L.IN_USE
        withdraw(arena, mine, zone, section)
        zones.subtract_free(arena, zone, present)
        about: word = zones.at(zone) + L.ZONE_ONLINE
        journal.ensure(arena, arena[about] != 0)
        journal.put(arena, about, arena[about] - 1)
        sections.set_blocks(arena, mine, section, 0, sections.all_blocks(mine))
    if kept != 0:
        backed: word = sections.flags(arena, mine, section) & L.SECTION_BACKED
        sections.set_flags(arena, mine, section, backed | L.SECTION_KEPT)
    sections.take(arena, mine, section, state, L.SECTION_STATE_OFFLINING)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    return section


def withdraw(arena: Words, mine: Words, zone: word, section: word) -> None:
    """Make the free blocks of a section used in the tree; no commit."""
    start: word = (section << mine[L.MINE_SECTION_SHIFT]) - zones.first(mine, zone)
    missing: word = sections.absent(arena, mine, section)
    bits: word = sections.all_blocks(mine)
    one: word = 1
    size: word = one << mine[L.MINE_BLOCK_SHIFT]
    while bits != 0:  # bound: SECTION_BLOCKS_MAX
        if missing & 1 == 0:
            free_runs.set_run(arena, mine, zone, start, size, 0)
        missing >>= 1
        bits >>= 1
        start += size


def finish(arena: Words, mine: Words) -> word:
    """Make the section OFFLINE. Needs: its memory was given back. OK or NOT_OWNER."""
    section: word = sections.owned(arena, mine)
    if section >= L.STATUS:
        return L.NOT_OWNER
    sections.give_up(arena, mine, section, L.SECTION_STATE_OFFLINING, L.SECTION_STATE_OFFLINE)
    sections.set_blocks(arena, mine, section, 0, 0)
    return journal.commit(arena)
