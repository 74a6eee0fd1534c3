"""Runs of set bits in one word: the leaves of the tree of free frames (1 = free)."""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store.words import leading_zeros, trailing_zeros, word


def leaf_starts(bits: word, count: word) -> word:
    """Return a bitmap of the positions where `count` (1 to 64) set bits begin."""
    have: word = 1
    step: word
    while have < count:  # bound: 6 doublings
        step = have if have < count - have else count - have
        bits &= bits >> step
        have += step
    return bits


def leaf_longest(bits: word) -> word:
    """Return the length of the longest run of set bits.

    `twos` has a bit where two set bits begin, and so on. The longest run's length is built up
    from its largest power of two down; `found` has a bit where runs of that length begin.
    """
    if bits == 0 or bits == L.ALL_ONES:
        return 0 if bits == 0 else L.LEAF_FRAMES_MAX
    found: word = bits >> trailing_zeros(bits)
    if found & (found + 1) == 0:  # the most frequent case: all set bits are adjacent
        return trailing_zeros(~found)
    twos: word = bits & bits >> 1
    fours: word = twos & twos >> 2
    eights: word = fours & fours >> 4
    sixteens: word = eights & eights >> 8
    length: word = 0
    longer: word = sixteens & sixteens >> 16
    found = L.ALL_ONES
    if longer != 0:
        found = longer
        length = 32
    longer = found & sixteens >> length
    if longer != 0:
        found = longer
        length += 16
    longer = found & eights >> length
    if longer != 0:
        found = longer
        length += 8
    longer = found & fours >> length
    if longer != 0:
        found = longer
        length += 4
    longer = found & twos >> length
    if longer != 0:
        found = longer
        length += 2
    return length + 1 if found & bits >> length != 0 else length


def bits_at_end(bits: word, size: word) -> word:
    """Return how many frames at the end of a leaf of `size` frames are free."""
    return leading_zeros(~(bits << (L.LEAF_FRAMES_MAX - size)) & cython.cast(word, L.ALL_ONES))
