"""Areas: published names, each with one holder record of its own, as a vm_struct has in the mail.

A name and its description (what handles/ needs to rebuild an array from the object) pass in and out
through the member's private words, MINE_NAME and so on. Names are in the chains of a hash table.
Everything about an area is logged, so a name shows its old object or its new one. Each publish has
a version, larger than all before it in the arena, even if the name was unpublished in between.

A weak area (AREA_WEAK) does not keep its object, which is marked OBJECT_WEAK and has no other weak
area: transactions/free.py removes both together.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L
    from .store import tables
    from .store.journal import ensure, put
    from .store.words import Words, high, low, pair, word


def at(arena: Words, mine: Words, area: word) -> word:
    """Return the place of an area's record; that of record 0 for an invalid index."""
    return tables.at(arena, mine, L.TABLE_AREAS, area)


def words_of(nbytes: word) -> word:
    """Return how many words `nbytes` bytes take."""
    return (nbytes + L.WORD_BYTES - 1) // L.WORD_BYTES


def bucket_at(mine: Words) -> word:
    """Return the place of the hash chain that the name in the private words belongs to."""
    return mine[L.MINE_HASH_AT] + mine[L.MINE_NAME_HASH] % mine[L.MINE_HASH_BUCKETS]


def has_name(arena: Words, mine: Words, area: word) -> bool:
    """Tell whether an area has the name in the private words."""
    place: word = at(arena, mine, area)
    k: word = 0
    count: word = words_of(mine[L.MINE_NAME_BYTES])
    if arena[place + L.AREA_HASH] != mine[L.MINE_NAME_HASH]:
        return False
    if low(arena[place + L.AREA_SIZES]) != mine[L.MINE_NAME_BYTES]:
        return False
    while k < count:  # bound: AREA_NAME_WORDS
        if arena[place + L.AREA_NAME + k] != mine[L.MINE_NAME + k]:
            return False
        k += 1
    return True


def find(arena: Words, mine: Words) -> word:
    """Return the area that has the name in the private words, 0 if none has."""
    area: word = arena[bucket_at(mine)]
    left: word = arena[L.AREAS_COUNT]
    while area != 0 and left > 0:  # bound: the number of areas; a chain is short
        if has_name(arena, mine, area):
            return area
        area = low(arena[at(arena, mine, area) + L.AREA_LINK])
        left -= 1
    return 0


def describe(arena: Words, mine: Words, area: word, now_ns: word) -> None:
    """Store the description in the private words. Stores: at most AREA_DESCRIPTION_WORDS + 4."""
    place: word = at(arena, mine, area)
    k: word = 0
    count: word = words_of(mine[L.MINE_DESCRIPTION_BYTES])
    sizes: word = pair(mine[L.MINE_NAME_BYTES], mine[L.MINE_DESCRIPTION_BYTES])
    put(arena, place + L.AREA_SIZES, sizes)
    put(arena, place + L.AREA_PUBLISHED_NS, now_ns)
    put(arena, place + L.AREA_VERSION, arena[L.NEXT_VERSION])
    put(arena, L.NEXT_VERSION, arena[L.NEXT_VERSION] + 1)
    while k < count:  # bound: AREA_DESCRIPTION_WORDS
        put(arena, place + L.AREA_DESCRIPTION + k, mine[L.MINE_DESCRIPTION + k])
        k += 1


def link(arena: Words, mine: Words, now_ns: word) -> word:
    """Make an area with the name in the private words: its index, or NO_RECORDS."""
    area: word = tables.take(arena, mine, L.TABLE_AREAS)
    if area >= L.STATUS:
        return area
    place: word = tables.place(mine, L.TABLE_AREAS, area)
    bucket: word = bucket_at(mine)
    k: word = 0
    count: word = words_of(mine[L.MINE_NAME_BYTES])
    put(arena, place + L.AREA_HASH, mine[L.MINE_NAME_HASH])
    while k < count:  # bound: AREA_NAME_WORDS
        put(arena, place + L.AREA_NAME + k, mine[L.MINE_NAME + k])
        k += 1
    describe(arena, mine, area, now_ns)
    put(arena, place + L.AREA_LINK, arena[bucket])
    put(arena, bucket, area)
    put(arena, L.AREAS_COUNT, arena[L.AREAS_COUNT] + 1)
    return area


def set_holder(arena: Words, mine: Words, area: word, holder: word, flags: word) -> None:
    """Set the record by which an area holds its object, and the area's flags."""
    place: word = at(arena, mine, area)
    put(arena, place + L.AREA_FLAGS, flags)
    put(arena, place + L.AREA_LINK, pair(low(arena[place + L.AREA_LINK]), holder))
    put(arena, tables.at(arena, mine, L.TABLE_HOLDERS, holder) + L.HOLDER_LOANS, area)


def unlink(arena: Words, mine: Words, area: word) -> None:
    """Remove an area from the chain of its name, and give it back."""
    place: word = at(arena, mine, area)
    following: word = low(arena[place + L.AREA_LINK])
    bucket: word = arena[place + L.AREA_HASH] % mine[L.MINE_HASH_BUCKETS]
    before: word = mine[L.MINE_HASH_AT] + bucket
    left: word = arena[L.AREAS_COUNT]
    current: word = arena[before]
    while current != area and current != 0 and left > 0:  # bound: the number of areas
        before = at(arena, mine, current) + L.AREA_LINK
        current = low(arena[before])
        left -= 1
    ensure(arena, current == area)
    put(arena, before, arena[before] - area + following)
    put(arena, place + L.AREA_SIZES, 0)
    put(arena, L.AREAS_COUNT, arena[L.AREAS_COUNT] - 1)
    tables.give(arena, mine, L.TABLE_AREAS, area)


def read(arena: Words, mine: Words, area: word) -> None:
    """Copy an area's name, description and version into the private words."""
    place: word = at(arena, mine, area)
    k: word = 0
    name_bytes: word = low(arena[place + L.AREA_SIZES])
    description_bytes: word = high(arena[place + L.AREA_SIZES])
    ensure(arena, name_bytes <= L.AREA_NAME_WORDS * L.WORD_BYTES)
    ensure(arena, description_bytes <= L.AREA_DESCRIPTION_WORDS * L.WORD_BYTES)
    mine[L.MINE_NAME_BYTES] = name_bytes
    mine[L.MINE_DESCRIPTION_BYTES] = description_bytes
    mine[L.MINE_VERSION] = arena[place + L.AREA_VERSION]
    while k < L.AREA_NAME_WORDS:
        mine[L.MINE_NAME + k] = arena[place + L.AREA_NAME + k]
        k += 1
    k = 0
    while k < L.AREA_DESCRIPTION_WORDS:
        mine[L.MINE_DESCRIPTION + k] = arena[place + L.AREA_DESCRIPTION + k]
        k += 1
