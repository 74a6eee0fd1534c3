"""`scamem check --repair`: put a damaged arena in order while nobody is a member of it.

Steps. Lock every slot's byte, so that nobody is a member and nobody becomes one. Copy the control
file. Put back what a dead member had begun, derive what can be derived (rebuild.py), ask `check`.
Only if nothing is left to say: mark the arena damaged, store the words that differ, take the mark
away.

Why safe: an arena that cannot be put in order is not touched. Dying between the marks leaves one
that refuses all work (I7) and whose primary words are what they were; repairing it again derives
the same. The kernel drops the locks whoever dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scamem.backing import places
from scamem.core.check import check
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.core.walk import Finding
from scamem.errors import ArenaDamagedError
from scamem.membership import files, image

from .rebuild import Rebuild

DOOR_TIMEOUT_S = 10.0
REGIONS = {
    "slots": "slots: their lists of holder records",
    "sections": "sections",
    "top_tree": "the tree of free frames",
    "section_trees": "the tree of free frames",
    "hash": "the chains of names",
    "memdescs": "memdescs",
    "objects_max": "objects: sizes, counts and lists",
    "holders_max": "holder records: their lists",
    "runs_max": "runs: the free ones' list",
    "loans_max": "loans: their lists",
    "areas_max": "names: their chains and hashes",
}


@dataclass(frozen=True)
class Repaired:
    """What a repair found and did.

    Attributes
    ----------
    path : of the control file.
    found : what did not hold before.
    put_back : words that a dead member had changed, and that are as before again.
    changed : in words, what was made anew, and how many words of it.
    """

    path: str
    found: list[Finding]
    put_back: int
    changed: list[str]


def repair(name: str) -> Repaired:
    """Put a named arena in order.

    Raises
    ------
    ArenaBusyError : it has members.
    ArenaDamagedError : words that nothing else tells are damaged; nothing was changed.
    ArenaNotFoundError, ArenaRefusedError : there is none, or its header cannot be believed.
    """
    control = places.open_file(name, "control")
    try:
        geometry = Geometry.from_words(files.read_header(control, any_boot=True))
        with (
            places.door(control, DOOR_TIMEOUT_S),
            places.without_members(control, geometry.slots_max),
        ):
            return _repair(control.descriptor(), control.path or name, geometry)
    finally:
        control.close()


def _repair(fd: int, path: str, geometry: Geometry) -> Repaired:
    before = image.copy(fd, geometry.control_words * L.WORD_BYTES)
    words = image.copy(fd, geometry.control_words * L.WORD_BYTES)
    mine = image.private_words(geometry)
    inside = words[L.LOCK] & L.LOCK_SLOT_MASK != 0
    count = image.put_back(words) if inside else 0
    found = check(words, mine)
    if not found and not count:
        return Repaired(path, [], 0, [])
    work = Rebuild(words, mine)
    work.run()
    left = [f"{wrong.place}: {wrong.message} ({wrong.rule})" for wrong in check(words, mine)]
    if work.cannot or left:
        raise ArenaDamagedError(
            f"asked to repair {path}; nothing was changed, since what is damaged cannot be derived "
            f"from anything: {'; '.join((work.cannot or left)[:5])}. Read out what you need "
            "(scamem check says what is wrong), and make a new arena"
        )
    places_changed = image.changed(before, words)
    image.write_word(fd, L.JOURNAL_DAMAGED, 1)
    image.write_words(fd, words, [at for at in places_changed if at != L.JOURNAL_DAMAGED])
    image.write_word(fd, L.JOURNAL_DAMAGED, 0)
    return Repaired(path, found, count, list(_in_words(geometry, before, words, places_changed)))


NAMED = {
    L.LOCK: "the lock: nobody has it",
    L.JOURNAL_LENGTH: "journal: empty",
    L.JOURNAL_FAILED: "journal: no failed transaction",
    L.JOURNAL_DAMAGED: "the mark that the arena is damaged",
    L.NEXT_LOAN_ID: "the next loan's id",
    L.NEXT_VERSION: "the next version of a name",
    L.DYING_HEAD: "the list of dying objects",
    L.CLEANING_HEAD: "the list of objects to be cleaned",
    L.CLEANING: "the object that is being cleaned",
    L.AREAS_COUNT: "number of names",
    L.OBJECTS_COUNT: "number of objects",
    L.LOANS_COUNT: "number of loans",
    L.SLOTS_NEXT: "the first slot never used",
    L.DRAINING: "the record that was being dropped",
    L.ZONES + L.ZONE_FREE: "frames free",
    L.ZONES + L.ZONE_RESERVED: "frames reserved",
    L.ZONES + L.ZONE_ROOT_LEVEL: "level of the tree's root",
    L.ZONES + L.ZONE_ONLINE: "sections online",
}
BEGUN = "what a dead member had begun"
UNITS = ("objects", "holder records", "runs", "loans", "names")
CONTROL_WORDS = ("the first free one", "the first never used", "how many have memory")


def _in_words(
    geometry: Geometry, before: memoryview, after: memoryview, changed: list[int]
) -> Iterator[str]:
    """Say what was changed: numbers one by one, what there are many of by how many words."""
    counts: dict[str, int] = {}
    tables_end = L.TABLES + L.TABLE_WORDS * L.TABLES_COUNT
    for at in changed:
        if L.TABLES <= at < tables_end:
            table, word = divmod(at - L.TABLES, L.TABLE_WORDS)
            yield f"{UNITS[table]}, {CONTROL_WORDS[word]}: {before[at]:,} -> {after[at]:,}"
        elif at in NAMED:
            yield f"{NAMED[at]}: {before[at]:,} -> {after[at]:,}"
        elif at >= L.SLOTS:
            regions = geometry.regions().items()
            name = next(n for n, part in regions if part.start <= at < part.start + part.words)
            counts[REGIONS[name]] = counts.get(REGIONS[name], 0) + 1
        else:
            counts[BEGUN] = counts.get(BEGUN, 0) + 1
    yield from (f"{what}: {count:,} words" for what, count in counts.items())
