"""Which frames of a zone are free: a binary tree that knows the longest free run below each node.

State. Leaves are bitmaps of up to 64 frames (1 = free). A node of level k covers 2**k leaves and
has three numbers: free frames at its start, at its end, and its longest free run. The longest run
tells whether a node is all free or all used, and then *nothing below it is read*: a run of a
gigabyte changes a few words per level, not a bitmap of 8,192 words. Frames here count from the
zone's first. A section's leaves and nodes lie together, so they come online with it. The root is
the node that covers the sections online so far, so a search costs by memory in use, not by
capacity.

Steps of `set_run`: split uniform nodes on the way to both ends (the children take their state);
set the leaves at the ends and the largest nodes between them; renew the nodes above, as far up as
anything changes. All stores are logged, at most 16 per level.

Why not buddies: a buddy allocator finds powers of two, and must try its neighbours to find a run
that is there. This tree finds the lowest (or highest) run of any length if there is one, and the
longest one if there is none, which is what "as few runs as possible, largest first" asks for.
Source: the "maximum subarray" segment tree with lazy assignment, a textbook structure.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.journal import put
    from ..store.words import Words, high, leading_zeros, low, pair, trailing_zeros, word
    from .bits import bits_at_end, leaf_longest, leaf_starts
    from .nodes import (
        children_at,
        inside,
        leaf_at,
        node_at,
        node_end,
        node_longest,
        node_size,
        node_start,
        place_at,
        root_level,
    )


def longest(arena: Words, mine: Words, zone: word) -> word:
    """Return the length of the zone's longest free run, in frames."""
    root: word = root_level(arena, mine, zone)
    return node_longest(arena, mine, zone, root, 0)


def is_free(arena: Words, mine: Words, zone: word, start: word, count: word) -> bool:
    """Tell whether the frames of one node are free: `count` a power of two, `start` a multiple."""
    level: word = root_level(arena, mine, zone)
    shift: word = mine[L.MINE_LEAF_SHIFT]
    run: word
    if start >= node_size(mine, level):
        return False
    while node_size(mine, level) > count:  # bound: LEVELS_MAX
        run = node_longest(arena, mine, zone, level, start >> (shift + level))
        if run == 0 or run == node_size(mine, level):
            return run != 0
        level -= 1
    return node_longest(arena, mine, zone, level, start >> (shift + level)) == count


def find_lowest(arena: Words, mine: Words, zone: word, count: word) -> word:
    """Return the lowest start of a free run of `count` frames, or NO_FRAMES."""
    level: word = root_level(arena, mine, zone)
    return find_below(arena, mine, zone, level, 0, count)


def find_below(
    arena: Words, mine: Words, zone: word, level: word, index: word, count: word
) -> word:
    """Return the lowest start of a free run inside a node, or NO_FRAMES.

    Needs: no node above it is all free or all used.
    """
    run: word = node_longest(arena, mine, zone, level, index)
    size: word
    left: word
    before: word
    if run < count:
        return L.NO_FRAMES
    while level > 1:  # bound: LEVELS_MAX
        size = node_size(mine, level)
        if run == size:
            return index * size
        level -= 1
        index *= 2
        left = node_at(mine, zone, level, index)  # its sibling's words follow its own
        run = arena[left + L.NODE_LONGEST]
        if run >= count:
            continue
        before = high(arena[left + L.NODE_ENDS])
        if before + low(arena[left + L.NODE_WORDS + L.NODE_ENDS]) >= count:
            return index * (size >> 1) + (size >> 1) - before
        run = arena[left + L.NODE_WORDS + L.NODE_LONGEST]
        index += 1
    size = node_size(mine, 1)
    if run == size:
        return index * size
    return index * size + find_in_leaves(arena, mine, leaf_at(mine, zone, 2 * index), count)


def find_in_leaves(arena: Words, mine: Words, at: word, count: word) -> word:
    """Return the lowest start of a run in two sibling leaves, counted from their first frame."""
    size: word = node_size(mine, 0)
    left: word = arena[at]
    right: word = arena[at + 1]
    before: word
    found: word
    if count <= size:
        found = leaf_starts(left, count)
        if found != 0:
            return trailing_zeros(found)
    before = bits_at_end(left, size)
    if before + trailing_zeros(~right) >= count:
        return size - before
    if count <= size:
        found = leaf_starts(right, count)
        if found != 0:
            return size + trailing_zeros(found)
    return L.NO_FRAMES


def find_highest(arena: Words, mine: Words, zone: word, count: word) -> word:
    """Return the highest start of a free run of `count` frames, or NO_FRAMES."""
    level: word = root_level(arena, mine, zone)
    index: word = 0
    after: word
    size: word
    if node_longest(arena, mine, zone, level, 0) < count:
        return L.NO_FRAMES
    while level > 0:  # bound: LEVELS_MAX
        size = node_size(mine, level)
        if node_longest(arena, mine, zone, level, index) == size:
            return (index + 1) * size - count
        level -= 1
        index = 2 * index + 1
        if node_longest(arena, mine, zone, level, index) >= count:
            continue
        after = node_start(arena, mine, zone, level, index)
        if after + node_end(arena, mine, zone, level, index - 1) >= count:
            return index * node_size(mine, level) + after - count
        index -= 1
    after = leaf_starts(arena[leaf_at(mine, zone, index)], count)
    if after == 0:
        return L.NO_FRAMES
    return index * node_size(mine, 0) + (L.LEAF_FRAMES_MAX - 1) - leading_zeros(after)


def assign(arena: Words, mine: Words, level: word, at: word, free: word) -> None:
    """Make the node at `at` all free or all used; nothing below it is read any more."""
    size: word = node_size(mine, level)
    if level == 0:
        size = cython.cast(word, L.ALL_ONES) >> (L.LEAF_FRAMES_MAX - size) if free else 0
        if arena[at] != size:
            put(arena, at, size)
        return
    size = size if free else 0
    if arena[at + L.NODE_LONGEST] != size or arena[at + L.NODE_ENDS] != pair(size, size):
        put(arena, at + L.NODE_ENDS, pair(size, size))
        put(arena, at + L.NODE_LONGEST, size)


def split(arena: Words, mine: Words, zone: word, leaf: word, start: word, end: word) -> None:
    """Copy the state of uniform nodes above a leaf to their children, as far as needed."""
    level: word = root_level(arena, mine, zone)
    at: word = node_at(mine, zone, level, 0)
    left: word
    run: word
    step: word
    while level > 0 and not inside(mine, level, leaf >> level, start, end):  # bound: LEVELS_MAX
        run = arena[at + L.NODE_LONGEST]
        left = children_at(mine, zone, level, leaf >> level)
        step = L.NODE_WORDS if level > 1 else 1
        if run == 0 or run == node_size(mine, level):
            assign(arena, mine, level - 1, left, run)
            assign(arena, mine, level - 1, left + step, run)
        level -= 1
        at = left + step * (leaf >> level & 1)


def renew(arena: Words, mine: Words, level: word, at: word, left: word) -> bool:
    """Compute the node at `at` from its children, the first at `left`; tell whether it changed.

    The other child's words follow the first one's: siblings are adjacent on every level.
    """
    half: word = node_size(mine, level - 1)
    left_ends: word
    right_ends: word
    run: word
    right_run: word
    if level == 1:
        left_ends = pair(trailing_zeros(~arena[left]), bits_at_end(arena[left], half))
        right_ends = pair(trailing_zeros(~arena[left + 1]), bits_at_end(arena[left + 1], half))
        run = leaf_longest(arena[left])
        right_run = leaf_longest(arena[left + 1])
    else:
        left_ends = arena[left + L.NODE_ENDS]
        run = arena[left + L.NODE_LONGEST]
        right_ends = arena[left + L.NODE_WORDS + L.NODE_ENDS]
        right_run = arena[left + L.NODE_WORDS + L.NODE_LONGEST]
    middle: word = high(left_ends) + low(right_ends)
    start: word = low(left_ends) if low(left_ends) != half else middle - high(left_ends) + half
    end: word = high(right_ends) if high(right_ends) != half else half + high(left_ends)
    if right_run > run:
        run = right_run
    if middle > run:
        run = middle
    if arena[at + L.NODE_ENDS] == pair(start, end) and arena[at + L.NODE_LONGEST] == run:
        return False
    put(arena, at + L.NODE_ENDS, pair(start, end))
    put(arena, at + L.NODE_LONGEST, run)
    return True


def renew_above(arena: Words, mine: Words, zone: word, start: word, end: word) -> None:
    """Renew the nodes above the ends of [start, end), level by level."""
    root: word = root_level(arena, mine, zone)
    index: word = start >> mine[L.MINE_LEAF_SHIFT]
    last: word = (end - 1) >> mine[L.MINE_LEAF_SHIFT]
    left: word = leaf_at(mine, zone, index - (index & 1))
    level: word = 1
    at: word
    changed: cython.bint
    while level <= root:  # bound: LEVELS_MAX
        index >>= 1
        last >>= 1
        at = node_at(mine, zone, level, index)
        changed = inside(mine, level, index, start, end)
        if not changed:
            changed = renew(arena, mine, level, at, left)
        if index != last:
            if not inside(mine, level, last, start, end):
                left = children_at(mine, zone, level, last)
                renew(arena, mine, level, node_at(mine, zone, level, last), left)
        elif not changed:
            return  # the whole run is below this node, so nothing above it changes either
        left = at - L.NODE_WORDS * (index & 1)
        level += 1


def set_edge(arena: Words, mine: Words, zone: word, leaf: word, bits: word, free: word) -> None:
    """Set or clear some bits of one leaf."""
    at: word = leaf_at(mine, zone, leaf)
    put(arena, at, arena[at] | bits if free else arena[at] & ~bits)


def set_run(arena: Words, mine: Words, zone: word, start: word, count: word, free: word) -> None:
    """Make `count` frames from `start` free (1) or used (0). Needs: all are online and were not.

    Stores: at most 16 words a level, each level twice as large as the one below it.
    """
    shift: word = mine[L.MINE_LEAF_SHIFT]
    end: word = start + count
    left: word = start >> shift
    right: word = end >> shift
    ones: word = L.ALL_ONES
    level: word = 0
    head: word = start - (left << shift)
    tail: word = end - (right << shift)
    split(arena, mine, zone, left, start, end)
    if (end - 1) >> shift != left:
        split(arena, mine, zone, (end - 1) >> shift, start, end)
    if left == right:
        bits: word = (ones >> (L.LEAF_FRAMES_MAX - count)) << head
        set_edge(arena, mine, zone, left, bits, free)
    else:
        if head != 0:
            bits = (ones >> (L.LEAF_FRAMES_MAX - (node_size(mine, 0) - head))) << head
            set_edge(arena, mine, zone, left, bits, free)
            left += 1
        if tail != 0:
            set_edge(arena, mine, zone, right, ones >> (L.LEAF_FRAMES_MAX - tail), free)
    while left < right:  # bound: LEVELS_MAX
        if left & 1:
            assign(arena, mine, level, place_at(mine, zone, level, left), free)
            left += 1
        if right & 1:
            right -= 1
            assign(arena, mine, level, place_at(mine, zone, level, right), free)
        left >>= 1
        right >>= 1
        level += 1
    renew_above(arena, mine, zone, start, end)


def cover(arena: Words, mine: Words, zone: word, end: word) -> None:
    """Raise the root until it covers frames up to `end`; newly covered frames are not free."""
    about: word = L.ZONES + L.ZONE_WORDS * zone
    level: word = root_level(arena, mine, zone)
    while node_size(mine, level) < end:  # bound: LEVELS_MAX
        level += 1
        renew(arena, mine, level, node_at(mine, zone, level, 0), children_at(mine, zone, level, 0))
        put(arena, about + L.ZONE_ROOT_LEVEL, level)
