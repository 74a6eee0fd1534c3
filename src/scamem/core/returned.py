"""Items that were given back: a heap, from which they are taken in the order of their tickets.

State. A leftist heap: no item has a smaller ticket than the one above it, and the way to the right
is never longer than the way to the left. So the way down to the right passes through at most log2
of the items, and two heaps are merged, an item is put in, and the smallest is taken out, in that
many steps: critical sections are bounded however many items come back. ITEM_LINKS has {left,
right}, ITEM_OWNER has the rank, which is the number of items on the way down to the right.

Tried and failed: putting a returned item at the queue's head changes the order of two that come
back in the order in which they were taken. Walking to its place among the others that came back
has no bound.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L
    from .store import tables
    from .store.journal import ensure, put
    from .store.words import Words, high, low, pair, word


def place_of(arena: Words, mine: Words, item: word) -> word:
    """Return the place of an item's record; that of record 0 for an invalid index."""
    return tables.at(arena, mine, L.TABLE_ITEMS, item)


def rank(arena: Words, mine: Words, item: word) -> word:
    """Return the rank of an item, 0 for none."""
    return high(arena[place_of(arena, mine, item) + L.ITEM_OWNER]) if item != 0 else 0


def ticket(arena: Words, mine: Words, item: word) -> word:
    """Return the ticket of an item."""
    return arena[place_of(arena, mine, item) + L.ITEM_TICKET]


def merge(arena: Words, mine: Words, one: word, other: word) -> word:
    """Merge two heaps; return the root. Stores: at most 2 words for each step of a way down."""
    depth: word = 0
    node: word
    left: word
    while one != 0 and other != 0 and depth < L.SPINE_MAX:
        if ticket(arena, mine, other) < ticket(arena, mine, one):
            node = one
            one = other
            other = node
        mine[L.MINE_SPINE + depth] = one
        depth += 1
        one = high(arena[place_of(arena, mine, one) + L.ITEM_LINKS])
    ensure(arena, one == 0 or other == 0)
    one = one if one != 0 else other
    while depth > 0:  # bound: SPINE_MAX
        depth -= 1
        node = mine[L.MINE_SPINE + depth]
        left = low(arena[place_of(arena, mine, node) + L.ITEM_LINKS])
        if rank(arena, mine, left) < rank(arena, mine, one):
            put(arena, place_of(arena, mine, node) + L.ITEM_LINKS, pair(one, left))
            one = left
        else:
            put(arena, place_of(arena, mine, node) + L.ITEM_LINKS, pair(left, one))
        put(
            arena,
            place_of(arena, mine, node) + L.ITEM_OWNER,
            pair(0, rank(arena, mine, one) + 1),
        )
        one = node
    return one


def add(arena: Words, mine: Words, root: word, item: word) -> word:
    """Put an item into a heap; return the new root."""
    put(arena, place_of(arena, mine, item) + L.ITEM_LINKS, 0)
    put(arena, place_of(arena, mine, item) + L.ITEM_OWNER, pair(0, 1))
    return merge(arena, mine, root, item)


def without_root(arena: Words, mine: Words, root: word) -> word:
    """Take the item with the smallest ticket out of a heap; return the new root."""
    links: word = arena[place_of(arena, mine, root) + L.ITEM_LINKS]
    return merge(arena, mine, low(links), high(links))
