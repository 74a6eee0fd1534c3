"""C functions; written from returned.py by tools/generate_headers.py. Change that one."""
cimport cython
from .store cimport layout as L
from .store cimport tables
from .store.journal cimport ensure, put
from .store.words cimport Words, high, low, pair, word

cdef inline word place_of(Words arena, Words mine, word item) noexcept nogil:
    return tables.at(arena, mine, L.TABLE_ITEMS, item)

cdef inline word rank(Words arena, Words mine, word item) noexcept nogil:
    return high(arena[place_of(arena, mine, item) + L.ITEM_OWNER]) if item != 0 else 0

cdef inline word ticket(Words arena, Words mine, word item) noexcept nogil:
    return arena[place_of(arena, mine, item) + L.ITEM_TICKET]

cdef inline word merge(Words arena, Words mine, word one, word other) noexcept nogil:
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

cdef inline word add(Words arena, Words mine, word root, word item) noexcept nogil:
    put(arena, place_of(arena, mine, item) + L.ITEM_LINKS, 0)
    put(arena, place_of(arena, mine, item) + L.ITEM_OWNER, pair(0, 1))
    return merge(arena, mine, root, item)

cdef inline word without_root(Words arena, Words mine, word root) noexcept nogil:
    links: word = arena[place_of(arena, mine, root) + L.ITEM_LINKS]
    return merge(arena, mine, low(links), high(links))
