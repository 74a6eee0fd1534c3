"""`scamem check --repair`: repair a damaged arena that has no members.

Steps. Lock the byte of every slot, so that no process is or becomes a member. Copy the control
file. Undo the unfinished work of a dead member, rebuild the derived words (rebuild.py), and run
`check`. Only if it finds nothing: mark the arena as damaged, store the words that differ, and
remove the mark.

Why safe: an arena that cannot be repaired is not touched. A death while the mark is set leaves an
arena that refuses all work (I7), with its primary words as they were; a second repair derives the
same words. The kernel drops the locks of a process that dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scamem.backing import places
from scamem.backing.text import counted
from scamem.core.check import check
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.core.walk import Finding
from scamem.errors import ArenaDamagedError
from scamem.membership import files, image

from .rebuild import Rebuild

DOOR_TIMEOUT_S = 10.0
REGIONS = {
    "slots": "slots: lists of holder records",
    "sections": "sections",
    "top_tree": "tree of free frames",
    "section_trees": "tree of free frames",
    "hash": "hash table of names",
    "memdescs": "memdescs",
    "objects_max": "objects: sizes, counts and lists",
    "holders_max": "holder records: lists",
    "runs_max": "runs: free list",
    "loans_max": "loans: lists",
    "areas_max": "names: chains and hashes",
    "queues_max": "queues: lists and counts",
    "items_max": "items: lists",
    "consumers_max": "consumers of queues: lists",
}


@dataclass(frozen=True)
class Repaired:
    """What a repair found and did.

    Attributes
    ----------
    path : the control file.
    found : what `check` found before the repair.
    put_back : number of words that a dead member had changed, and that were restored.
    changed : one line for each kind of data that was rebuilt.
    """

    path: str
    found: list[Finding]
    put_back: int
    changed: list[str]


def repair(name: str) -> Repaired:
    """Repair a named arena.

    Raises
    ------
    ArenaBusyError : it has members.
    ArenaDamagedError : damaged words cannot be derived from the others; nothing was changed.
    ArenaNotFoundError, ArenaRefusedError : there is no such arena, or its header is invalid.
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
            f"cannot repair {path}; nothing was changed. Some damaged data cannot be rebuilt from "
            f"the rest: {'; '.join((work.cannot or left)[:5])}. `scamem check` lists all problems. "
            "Save the data that you can still read, and make a new arena"
        )
    places_changed = image.changed(before, words)
    image.write_word(fd, L.JOURNAL_DAMAGED, 1)
    image.write_words(fd, words, [at for at in places_changed if at != L.JOURNAL_DAMAGED])
    image.write_word(fd, L.JOURNAL_DAMAGED, 0)
    return Repaired(path, found, count, list(_in_words(geometry, before, words, places_changed)))


NAMED = {
    L.LOCK: "lock",
    L.JOURNAL_LENGTH: "length of the journal",
    L.JOURNAL_FAILED: "mark of a failed transaction",
    L.JOURNAL_DAMAGED: "mark of a damaged arena",
    L.NEXT_LOAN_ID: "next loan id",
    L.NEXT_VERSION: "next version of a name",
    L.DYING_HEAD: "list of dying objects",
    L.CLEANING_HEAD: "list of objects to clean",
    L.CLEANING: "object being cleaned",
    L.QUEUES_ENDING: "list of queues to empty",
    L.QUEUE_WAKING: "queue whose waiters are woken",
    L.AREAS_COUNT: "number of names",
    L.OBJECTS_COUNT: "number of objects",
    L.LOANS_COUNT: "number of loans",
    L.SLOTS_NEXT: "first unused slot",
    L.DRAINING: "holder record being dropped",
    L.ZONES + L.ZONE_FREE: "free frames",
    L.ZONES + L.ZONE_RESERVED: "reserved frames",
    L.ZONES + L.ZONE_ROOT_LEVEL: "level of the root of the tree",
    L.ZONES + L.ZONE_ONLINE: "online sections",
}
BEGUN = "unfinished work of a dead member"
UNITS = ("objects", "holder records", "runs", "loans", "names", "queues", "items", "consumers")
CONTROL_WORDS = ("first free", "first unused", "number with memory")


def _in_words(
    geometry: Geometry, before: memoryview, after: memoryview, changed: list[int]
) -> Iterator[str]:
    """Yield a line for each single number that changed, and one for each kind of list or table."""
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
    yield from (f"{what}: {counted(count, 'word')}" for what, count in counts.items())
