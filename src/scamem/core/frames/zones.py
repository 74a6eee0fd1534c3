"""Zones: the frames of one kind on one node, a range of pfns; how many are free and promised.

The member's private words say which zones there are, and where each begins (MINE_ZONE_TABLE).
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.journal import ensure, put
    from ..store.words import Words, word


def at(zone: word) -> word:
    """Return the place of a zone's words."""
    return L.ZONES + L.ZONE_WORDS * zone


def first(mine: Words, zone: word) -> word:
    """Return the first frame of a zone."""
    return mine[L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * zone + L.MINE_ZONE_FIRST]


def of(mine: Words, pfn: word) -> word:
    """Return the zone of a frame; for an invalid frame, a number that no zone has."""
    zone: word = 0
    while zone < mine[L.MINE_ZONES]:  # bound: ZONES_MAX
        if (
            pfn
            < first(mine, zone)
            + mine[L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * zone + L.MINE_ZONE_FRAMES]
        ):
            return zone  # zones follow each other
        zone += 1
    return L.ZONES_MAX


def of_section(mine: Words, section: word) -> word:
    """Return the zone of a section. Needs: section < MINE_SECTIONS."""
    return of(mine, section << mine[L.MINE_SECTION_SHIFT])


def unpromised(arena: Words, zone: word) -> word:
    """Return how many frames of a zone are free and not promised."""
    free: word = arena[at(zone) + L.ZONE_FREE]
    reserved: word = arena[at(zone) + L.ZONE_RESERVED]
    return free - reserved if reserved < free else 0


def add_free(arena: Words, zone: word, frames: word) -> None:
    """Count more frames as free; no commit."""
    put(arena, at(zone) + L.ZONE_FREE, arena[at(zone) + L.ZONE_FREE] + frames)


def subtract_free(arena: Words, zone: word, frames: word) -> None:
    """Count fewer frames as free; no commit."""
    ensure(arena, arena[at(zone) + L.ZONE_FREE] >= frames)
    put(arena, at(zone) + L.ZONE_FREE, arena[at(zone) + L.ZONE_FREE] - frames)


def count_free(arena: Words, mine: Words) -> word:
    """Return how many frames of all zones are free. No lock: the number is approximate."""
    zone: word = 0
    found: word = 0
    while zone < mine[L.MINE_ZONES]:  # bound: ZONES_MAX
        found += arena[at(zone) + L.ZONE_FREE]
        zone += 1
    return found
