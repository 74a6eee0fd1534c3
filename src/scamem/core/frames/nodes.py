"""Where the nodes of the tree of free frames are, and what they say; free_runs.py has the argument.

Levels at and above the height of a section are in the zone's top tree, those below it are with the
section. Each part is a heap: a node's two children follow each other.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.journal import ensure
    from ..store.words import Words, high, low, trailing_zeros, word
    from .bits import bits_at_end, leaf_longest


def node_size(mine: Words, level: word) -> word:
    """Return how many frames a node of this level covers."""
    one: word = 1
    return one << (mine[L.MINE_LEAF_SHIFT] + level)


def root_level(arena: Words, mine: Words, zone: word) -> word:
    """Return the level of a zone's root. Needs: lock held.

    A level that the zone cannot have damages the current transaction (ensure). Its highest level
    is returned then, so that no node outside the tree is read.
    """
    level: word = arena[L.ZONES + L.ZONE_WORDS * zone + L.ZONE_ROOT_LEVEL]
    highest: word = mine[L.MINE_TREE_HEIGHT]
    highest += mine[L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * zone + L.MINE_ZONE_TOP_HEIGHT]
    if level > highest:
        ensure(arena, False)
        return highest
    return level


def leaf_at(mine: Words, zone: word, index: word) -> word:
    """Return the place of a leaf's bitmap."""
    about: word = L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * zone
    height: word = mine[L.MINE_TREE_HEIGHT]
    section: word = index >> height
    tree: word = mine[about + L.MINE_ZONE_TREES_AT] + section * mine[L.MINE_SECTION_TREE_WORDS]
    return tree + index - (section << height)


def node_at(mine: Words, zone: word, level: word, index: word) -> word:
    """Return the place of a node's words. Needs: level >= 1."""
    about: word = L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * zone
    height: word = mine[L.MINE_TREE_HEIGHT]
    one: word = 1
    if level >= height:
        above: word = mine[about + L.MINE_ZONE_TOP_HEIGHT] - (level - height)
        return mine[about + L.MINE_ZONE_TOP_AT] + L.NODE_WORDS * ((one << above) + index)
    down: word = height - level
    section: word = index >> down
    inner: word = (one << down) + index - (section << down)
    tree: word = mine[about + L.MINE_ZONE_TREES_AT] + section * mine[L.MINE_SECTION_TREE_WORDS]
    return tree + (one << height) + L.NODE_WORDS * inner


def place_at(mine: Words, zone: word, level: word, index: word) -> word:
    """Return the place of a node's words, or of a leaf's bitmap."""
    return leaf_at(mine, zone, index) if level == 0 else node_at(mine, zone, level, index)


def children_at(mine: Words, zone: word, level: word, index: word) -> word:
    """Return the place of a node's first child. Needs: level >= 1."""
    return place_at(mine, zone, level - 1, 2 * index)


def node_longest(arena: Words, mine: Words, zone: word, level: word, index: word) -> word:
    """Return a node's longest free run, in frames."""
    if level == 0:
        return leaf_longest(arena[leaf_at(mine, zone, index)])
    return arena[node_at(mine, zone, level, index) + L.NODE_LONGEST]


def inside(mine: Words, level: word, index: word, start: word, end: word) -> bool:
    """Tell whether a node lies wholly in [start, end)."""
    size: word = node_size(mine, level)
    return index * size >= start and (index + 1) * size <= end


def node_start(arena: Words, mine: Words, zone: word, level: word, index: word) -> word:
    """Return how many frames at a node's start are free."""
    if level == 0:
        return trailing_zeros(~arena[leaf_at(mine, zone, index)])
    return low(arena[node_at(mine, zone, level, index) + L.NODE_ENDS])


def node_end(arena: Words, mine: Words, zone: word, level: word, index: word) -> word:
    """Return how many frames at a node's end are free."""
    if level == 0:
        return bits_at_end(arena[leaf_at(mine, zone, index)], node_size(mine, 0))
    return high(arena[node_at(mine, zone, level, index) + L.NODE_ENDS])


def longest_in(arena: Words, mine: Words, zone: word, level: word, index: word) -> word:
    """Return the length of a node's longest free run, taking the nodes above into account."""
    above: word = root_level(arena, mine, zone)
    run: word
    if level > above or index >= node_size(mine, above) // node_size(mine, level):
        return 0
    while above > level:  # bound: LEVELS_MAX
        run = node_longest(arena, mine, zone, above, index >> (above - level))
        if run == 0:
            return 0
        if run == node_size(mine, above):
            return node_size(mine, level)
        above -= 1
    return node_longest(arena, mine, zone, level, index)
