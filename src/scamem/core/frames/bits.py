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
    """Return the length of the longest run of set bits."""
    length: word = 0
    step: word = L.LEAF_FRAMES_MAX // 2
    one_run: word
    if bits == 0 or bits == L.ALL_ONES:
        return 0 if bits == 0 else L.LEAF_FRAMES_MAX
    one_run = bits >> trailing_zeros(bits)
    if one_run & (one_run + 1) == 0:  # the most frequent case: all set bits side by side
        return trailing_zeros(~one_run)
    while step > 0:  # bound: 6 halvings
        if leaf_starts(bits, length + step) != 0:
            length += step
        step >>= 1
    return length


def bits_at_end(bits: word, size: word) -> word:
    """Return how many frames at the end of a leaf of so many frames are free."""
    return leading_zeros(~(bits << (L.LEAF_FRAMES_MAX - size)) & cython.cast(word, L.ALL_ONES))
