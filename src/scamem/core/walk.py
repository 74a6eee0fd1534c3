# cython: boundscheck=True, wraparound=True, annotation_typing=False, show_performance_hints=False
"""Reading an arena that may be damaged: each index is checked before use, and each walk ends.

Nothing here stores to the arena, and nothing trusts it. `arena` and `mine` are writable buffers of
unsigned 64-bit words (`array('Q')`, a cast memoryview): a copy of the control file made under the
lock, and the member's private words, whose places are trusted.
"""

from typing import NamedTuple, Protocol

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L

LIVING = (L.OBJECT_STATE_ALLOCATING, L.OBJECT_STATE_LIVE, L.OBJECT_STATE_MOVING)
WITH_RUNS = (*LIVING, L.OBJECT_STATE_DYING)
USABLE = (L.SECTION_STATE_ONLINE, L.SECTION_STATE_TRIMMING, L.SECTION_STATE_POPULATING)
UNITS = ("object", "holder record", "run", "loan", "area", "queue", "item", "consumer record")


class Image(Protocol):
    """A copy of an arena's words, or a member's private ones: a buffer of unsigned 64-bit words."""

    def __getitem__(self, at: int, /) -> int: ...


class Finding(NamedTuple):
    """One violation of a rule: the rule, what it is about, and what is wrong."""

    rule: str
    place: str
    message: str


def low(value: int) -> int:
    """Return the low half of a word."""
    return value & L.MASK_32


def high(value: int) -> int:
    """Return the high half of a word."""
    return value >> L.SHIFT_32


@cython.locals(arena=cython.ulonglong[:], mine=cython.ulonglong[:])
def table_end(arena: Image, mine: Image, table: int) -> int:
    """Return the first record of a table that was never used, or the table's end."""
    used = arena[L.TABLES + L.TABLE_WORDS * table + L.TABLE_NEXT]
    return min(used, mine[L.MINE_TABLES + L.MINE_TABLE_WORDS * table + L.MINE_TABLE_MAX])


@cython.locals(mine=cython.ulonglong[:])
def place(mine: Image, table: int, index: int) -> int:
    """Return the word offset of a record. Needs: the index is below table_end()."""
    about = L.MINE_TABLES + L.MINE_TABLE_WORDS * table
    return mine[about + L.MINE_TABLE_AT] + index * mine[about + L.MINE_TABLE_RECORD]


@cython.locals(
    arena=cython.ulonglong[:],
    mine=cython.ulonglong[:],
    index=cython.ulonglong,
    end=cython.ulonglong,
    at=cython.ulonglong,
    record=cython.ulonglong,
    link=cython.ulonglong,
)
def chain(arena: Image, mine: Image, table: int, first: int, offset: int) -> tuple[list[int], str]:
    """Follow links (the low half of the word at `offset`) from a record: the records, and why
    the walk stopped short, if it did. A walk that returns to a record it has seen stops."""
    end: int = table_end(arena, mine, table)
    at = place(mine, table, 0) + offset
    record = mine[L.MINE_TABLES + L.MINE_TABLE_WORDS * table + L.MINE_TABLE_RECORD]
    link = L.MASK_32
    seen = set()
    found: list[int] = []
    index = first
    while index != 0 and index != link:
        if index >= end:
            return found, f"links to {UNITS[table]} {index}, which was never used"
        if index in seen:
            return found, f"links to {UNITS[table]} {index} twice"
        seen.add(index)
        found.append(int(index))
        index = int(arena[at + index * record]) & link
    return found, ""


def unclean(arena: Image, mine: Image) -> tuple[list[int], str]:
    """Return the objects whose frames must be cleaned, with the one being cleaned now."""
    found, wrong = chain(arena, mine, L.TABLE_OBJECTS, arena[L.CLEANING_HEAD], L.OBJECT_LINK)
    now = low(arena[L.CLEANING])
    return (found + [now] if now else found), wrong


def free_list(arena: Image, mine: Image, table: int) -> tuple[list[int], str]:
    """Return the records of a table that were given back."""
    first = arena[L.TABLES + L.TABLE_WORDS * table + L.TABLE_FREE]
    offset = mine[L.MINE_TABLES + L.MINE_TABLE_WORDS * table + L.MINE_TABLE_LINK]
    found: tuple[list[int], str] = chain(arena, mine, table, first, offset)
    return found


def about_zone(zone: int) -> int:
    """Return the place of a zone in the private words."""
    return L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * zone


@cython.locals(mine=cython.ulonglong[:])
def tree_at(mine: Image, zone: int, section: int) -> int:
    """Return the place of the tree of a zone's n-th section, -1 for an invalid one."""
    about = about_zone(zone)
    if section >= mine[about + L.MINE_ZONE_FRAMES] >> mine[L.MINE_SECTION_SHIFT]:
        return -1
    at: int = mine[about + L.MINE_ZONE_TREES_AT] + section * mine[L.MINE_SECTION_TREE_WORDS]
    return at


@cython.locals(mine=cython.ulonglong[:])
def leaf_at(mine: Image, zone: int, index: int) -> int:
    """Return the place of a leaf of a zone's tree, -1 for an invalid one."""
    height = mine[L.MINE_TREE_HEIGHT]
    tree = tree_at(mine, zone, index >> height)
    if tree < 0:
        return -1
    at: int = tree + index - (index >> height << height)
    return at


@cython.locals(mine=cython.ulonglong[:])
def node_at(mine: Image, zone: int, level: int, index: int) -> int:
    """Return the place of a node of level 1 or higher, -1 for an invalid one."""
    height = mine[L.MINE_TREE_HEIGHT]
    top = about_zone(zone)
    if level >= height:
        above = mine[top + L.MINE_ZONE_TOP_HEIGHT] + height - level
        top_at: int = mine[top + L.MINE_ZONE_TOP_AT]
        return top_at + L.NODE_WORDS * ((1 << above) + index)
    tree = tree_at(mine, zone, index >> (height - level))
    if tree < 0:
        return -1
    inner = (1 << (height - level)) + index - (index >> (height - level) << (height - level))
    at: int = tree + (1 << height) + L.NODE_WORDS * inner
    return at


def bits_summary(bits: int, size: int) -> tuple[int, int, int]:
    """Return {free at the start, free at the end, longest run} of a leaf."""
    runs = format(bits | 1 << size, "b")[1:].split("0")
    return len(runs[-1]), len(runs[0]), max(map(len, runs))


@cython.locals(arena=cython.ulonglong[:], mine=cython.ulonglong[:])
def summary(arena: Image, mine: Image, zone: int, level: int, index: int) -> tuple[int, int, int]:
    """Return {free at the start, free at the end, longest run} of a node or leaf."""
    at = leaf_at(mine, zone, index) if level == 0 else node_at(mine, zone, level, index)
    if at < 0:
        return 0, 0, 0
    if level == 0:
        size = 1 << mine[L.MINE_LEAF_SHIFT]
        return bits_summary(arena[at] & ((1 << size) - 1), size)
    ends = int(arena[at + L.NODE_ENDS])
    return ends & L.MASK_32, ends >> L.SHIFT_32, int(arena[at + L.NODE_LONGEST])


def joined(
    left: tuple[int, int, int], right: tuple[int, int, int], half: int
) -> tuple[int, int, int]:
    """Return what a node must say of its two children."""
    start = half + right[0] if left[0] == half else left[0]
    end = half + left[1] if right[1] == half else right[1]
    return start, end, max(left[2], right[2], left[1] + right[0])


@cython.locals(arena=cython.ulonglong[:], mine=cython.ulonglong[:])
def free_runs(arena: Image, mine: Image) -> tuple[list[tuple[int, int]], list[str]]:
    """Decode all trees of free frames: runs {pfn, frames}, lowest first, and what is wrong."""
    runs = []
    wrong = []
    for zone in range(mine[L.MINE_ZONES]):
        found, texts = zone_runs(arena, mine, zone)
        first = mine[about_zone(zone) + L.MINE_ZONE_FIRST]
        runs += [(first + start, frames) for start, frames in found]
        wrong += [f"zone {zone}: {text}" for text in texts]
    return runs, wrong


@cython.locals(arena=cython.ulonglong[:], mine=cython.ulonglong[:])
def zone_runs(arena: Image, mine: Image, zone: int) -> tuple[list[tuple[int, int]], list[str]]:
    """Decode one zone's tree: runs {start in the zone, frames}, and what is wrong."""
    shift = int(mine[L.MINE_LEAF_SHIFT])
    root = int(arena[L.ZONES + L.ZONE_WORDS * zone + L.ZONE_ROOT_LEVEL])
    highest = mine[L.MINE_SECTION_SHIFT] - shift + mine[about_zone(zone) + L.MINE_ZONE_TOP_HEIGHT]
    if root > highest:
        return [], [f"the root of the tree is at level {root}; the highest level is {highest}"]
    runs: list[tuple[int, int]] = []
    wrong = []
    todo = [(root, 0)]
    while todo:  # bound: the nodes of the tree
        level, index = todo.pop()
        size = 1 << (shift + level)
        says = summary(arena, mine, zone, level, index)
        uniform = says == ((size,) * 3 if says[2] else (0, 0, 0))
        if uniform and says[2]:
            runs.append((index * size, size))
        elif not uniform and level > 0:
            left = summary(arena, mine, zone, level - 1, 2 * index)
            right = summary(arena, mine, zone, level - 1, 2 * index + 1)
            if says != joined(left, right, size // 2):
                wrong.append(f"node {index} of level {level} does not agree with those below it")
            todo += [(level - 1, 2 * index + 1), (level - 1, 2 * index)]
        elif not uniform:
            at = leaf_at(mine, zone, index)
            bits = int(arena[at]) if at >= 0 else 0
            runs += [(index * size + k, 1) for k in range(size) if bits >> k & 1]
    return runs, wrong


def objects_in(arena: Image, mine: Image, states: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return {object, its place} for each object in one of the given states."""
    first = place(mine, L.TABLE_OBJECTS, 0)
    end = table_end(arena, mine, L.TABLE_OBJECTS)
    places = ((obj, first + obj * L.OBJECT_WORDS) for obj in range(1, end))
    return [
        (obj, at)
        for obj, at in places
        if arena[at + L.OBJECT_STATE] & L.OBJECT_STATE_MASK in states
    ]


def runs_of(arena: Image, mine: Image, at: int) -> tuple[list[tuple[int, int]], list[int], str]:
    """Return an object's runs {start, frames}, their records, and what is wrong with its list."""
    runs = arena[at + L.OBJECT_RUNS]
    records, wrong = chain(arena, mine, L.TABLE_RUNS, low(runs), L.RUN_LINK)
    first = place(mine, L.TABLE_RUNS, 0)
    words = [arena[first + record * L.RUN_WORDS + L.RUN_FRAMES] for record in records]
    if not wrong and high(runs) != (records[-1] if records else 0):
        wrong = f"its last run should be {records[-1] if records else 0}, not {high(runs)}"
    return [(low(word), high(word)) for word in words], records, wrong


def two_way(
    arena: Image, mine: Image, start: int, offset: int, table: int = L.TABLE_HOLDERS
) -> tuple[list[int], str]:
    """Walk a list of records; also report where its back links do not agree."""
    records, wrong = chain(arena, mine, table, start, offset)
    before = 0
    for record in records:
        if high(arena[place(mine, table, record) + offset]) != before and not wrong:
            wrong = f"{UNITS[table]} {record} does not link back to {before}"
        before = record
    return records, wrong
