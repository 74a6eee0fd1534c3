"""The canonical form of states: two whose members can continue in the same ways are one.

A state's form says what later transactions can depend on, with names that are not record numbers:

- An object is named by its first frame (no other object has its frames). One without frames is
  named by what it was promised, and is in the part of the member that holds it, which alone can.
- Each member has a part: its slot's state, its records from the newest to the oldest, what it owns,
  and whether its private table agrees. Members are interchangeable: their parts are sorted.
- For each record: its counts, its loans, and whether it waits on a stack of drops.
- The free frames are a set, whatever the nodes of the tree below uniform ones say (free_runs.py:
  they are not read). A memdesc is the object that it leads to, if any; stale words lead nowhere.

States that differ only in the following are one. The numbers of objects, records, runs, loans and
slots: free lists hand out any, and the tables of these arenas never run short. Tickets,
incarnations and generations: they are only compared with those of the same owner or object, so the
form says whether they agree. Pids, and counters for reports. The words of free records: a record is
written before it is read. Where a member looks for loans next: it continues until it has seen all.
Times: loans end more than a minute after they were lent, so all are due.

That nothing else is lost is tested, not only argued: test_interleave.py explores without merging
any two states whose words differ, and must find the same forms.
"""

from __future__ import annotations

import marshal
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore.world import Member

DIGEST_BYTES = 16
EMPTY = 1 << 16  # names of objects without frames are above all frames


def digest_of(data: bytes) -> bytes:
    """Return a 128-bit digest of some bytes."""
    return sha256(data).digest()[:DIGEST_BYTES]  # the fastest if the processor supports it


def digest(parts: Any) -> bytes:
    """Return a 128-bit digest of nested tuples of numbers."""
    # Version 2 has no references to equal parts, so equal values give equal bytes.
    return digest_of(marshal.dumps(parts, 2))


@dataclass
class Form:
    """An arena's words with canonical names; the members' parts by slot."""

    parts: dict[int, tuple[Any, ...]]
    records: dict[int, list[tuple[int, int]]]  # of each member: {object, record}
    rest: tuple[Any, ...]

    def part(self, member: Member) -> tuple[Any, ...]:
        """Return a member's part: alive, with the content of its private table, or dead."""
        if not member.alive:
            return 0, (), self.parts.get(member.slot, ())
        mine = member.mine
        table, epoch = mine[L.MINE_RECORDS_AT], mine[L.MINE_EPOCH]
        end = table + mine[L.MINE_TABLES + L.MINE_TABLE_MAX]
        own = {
            at - table: value & L.MASK_32
            for at, value in enumerate(mine[table:end], table)
            if value >> L.SHIFT_32 == epoch and value & L.MASK_32
        }
        records = self.records.get(member.slot, [])
        agree = tuple(own.pop(obj, 0) == record for obj, record in records)
        return 1 + len(own), agree, self.parts.get(member.slot, ())


def form_of(arena: Any, mine: Any) -> Form:
    """Read an arena at rest. `arena`, `mine`: as check() takes them."""
    names: dict[int, int] = {}
    generations: dict[int, int] = {}
    objects = []
    owned: dict[int, list[tuple[int, ...]]] = {}
    for obj, at in walk.objects_in(arena, mine, walk.WITH_RUNS):
        runs = walk.runs_of(arena, mine, at)[0]
        value = arena[at + L.OBJECT_STATE]
        state = value & L.OBJECT_STATE_MASK
        promised = arena[at + L.OBJECT_LINK] >> L.SHIFT_32
        names[obj] = name = runs[0][0] if runs else EMPTY + promised
        generations[obj] = arena[at + L.OBJECT_GENERATION] & L.MASK_32
        held = arena[at + L.OBJECT_NR] >> L.SHIFT_32
        objects.append((name, value & L.OBJECT_STATE_ZONE_FLAGS, held, promised, *runs))
        if state in (L.OBJECT_STATE_ALLOCATING, L.OBJECT_STATE_MOVING):
            slot = value >> L.OBJECT_OWNER_SHIFT & L.MASK_16
            owned.setdefault(slot, []).append((0, name, agrees(arena, slot, value >> L.SHIFT_32)))
    for number, word, incarnation in (
        (1, L.CHANGING, L.CHANGING_INCARNATION),
        (2, L.CLEANING, L.CLEANING_INCARNATION),
    ):
        if arena[word]:
            slot, what = arena[word] >> L.SHIFT_32, arena[word] & L.MASK_32
            what = names.get(what, 0) if number == 2 else what
            agree = agrees(arena, slot, arena[incarnation] & L.MASK_32)
            owned.setdefault(slot, []).append((number, what, agree))
    parts, records = parts_of(arena, mine, names, owned)
    free = tuple(walk.free_runs(arena, mine)[0])
    links = {
        number: tuple(
            names[obj] for obj in walk.chain(arena, mine, L.TABLE_OBJECTS, head, L.OBJECT_LINK)[0]
        )
        for number, head in enumerate((arena[L.DYING_HEAD], arena[L.CLEANING_HEAD]))
    }
    sections = mine[L.MINE_SECTIONS_AT]
    rest = (
        tuple(sorted(objects)),
        free,
        links[0],
        links[1],
        parts.pop(L.SLOT_TRANSIT, ()),
        areas_of(arena, mine, names),
        memdescs_of(arena, mine, names, generations),
        tuple(arena[sections : sections + mine[L.MINE_SECTIONS]]),
        arena[L.ZONES + L.ZONE_ROOT_LEVEL],
        arena[L.NEXT_LOAN_ID],  # a used id must not occur again
        arena[L.DRAINING],
    )
    parts.pop(L.SLOT_AREAS, None)  # areas_of() covers its records
    return Form(parts, records, rest)


def agrees(arena: Any, slot: int, incarnation: int) -> bool:
    """Tell whether an owner is the member that has its slot now."""
    about = L.SLOTS + L.SLOT_WORDS * slot
    return bool(arena[about + L.SLOT_INCARNATION] & L.MASK_32 == incarnation)


def parts_of(
    arena: Any, mine: Any, names: dict[int, int], owned: dict[int, list[tuple[int, ...]]]
) -> tuple[dict[int, tuple[Any, ...]], dict[int, list[tuple[int, int]]]]:
    """Return each slot's part, and {object, record} of its list."""
    first = walk.place(mine, L.TABLE_HOLDERS, 0)
    parts: dict[int, tuple[Any, ...]] = {}
    records: dict[int, list[tuple[int, int]]] = {}
    for slot in range(arena[L.SLOTS_NEXT]):
        about = L.SLOTS + L.SLOT_WORDS * slot
        state = arena[about + L.SLOT_STATE] & L.MASK_8
        newest = arena[about + L.SLOT_HOLDERS] & L.MASK_32
        if not state and not newest:
            continue
        listed = []
        records[slot] = []
        for record in walk.chain(arena, mine, L.TABLE_HOLDERS, newest, L.HOLDER_SLOT_LINKS)[0]:
            at = first + record * L.HOLDER_WORDS
            obj = arena[at + L.HOLDER_OBJECT] & L.MASK_32
            head = arena[at + L.HOLDER_LOANS] & L.MASK_32
            loans: list[int] = []
            if head and slot != L.SLOT_AREAS:
                loans = walk.chain(arena, mine, L.TABLE_LOANS, head, L.LOAN_LINKS)[0]
            counts = arena[at + L.HOLDER_COUNTS], arena[at + L.HOLDER_PINS]
            waits = arena[at + L.HOLDER_DROPS] != 0
            listed.append((names.get(obj, -1), *counts, len(loans), waits))
            records[slot].append((obj, record))
        stacked = arena[about + L.SLOT_DROPS] & L.MASK_32 != 0
        parts[slot] = state, stacked, tuple(listed), tuple(sorted(owned.pop(slot, ())))
    if owned:
        parts[min(owned)] = (
            -1,
            False,
            (),
            tuple(sorted(o for some in owned.values() for o in some)),
        )
    return parts, records


def areas_of(arena: Any, mine: Any, names: dict[int, int]) -> tuple[tuple[int, int, int], ...]:
    """Return {hash of a name, its flags, object} for each area."""
    found = []
    holders, areas = walk.place(mine, L.TABLE_HOLDERS, 0), walk.place(mine, L.TABLE_AREAS, 0)
    for bucket in range(mine[L.MINE_HASH_BUCKETS]):
        head = arena[mine[L.MINE_HASH_AT] + bucket]
        if head:
            for area in walk.chain(arena, mine, L.TABLE_AREAS, head, L.AREA_LINK)[0]:
                at = areas + area * L.AREA_WORDS
                record = arena[at + L.AREA_LINK] >> L.SHIFT_32
                obj = arena[holders + record * L.HOLDER_WORDS + L.HOLDER_OBJECT] & L.MASK_32
                flags = arena[at + L.AREA_FLAGS]
                found.append((arena[at + L.AREA_HASH], flags, names.get(obj, -1)))
    return tuple(sorted(found))


def memdescs_of(
    arena: Any, mine: Any, names: dict[int, int], generations: dict[int, int]
) -> tuple[int, ...]:
    """Return the object that each frame's memdesc leads to; -1: none; -2: may lead to one later.

    A free record's generation is that of its next use: a memdesc that already has it would then
    lead to an object that it does not belong to.
    """
    found = []
    at = mine[L.MINE_MEMDESCS_AT]
    first = walk.place(mine, L.TABLE_OBJECTS, 0)
    for memdesc in arena[at : at + mine[L.MINE_FRAMES]]:
        obj = memdesc >> L.MEMDESC_OBJECT_SHIFT & L.MASK_28
        generation = memdesc >> L.MEMDESC_GENERATION_SHIFT
        if obj in names:
            found.append(names[obj] if generations[obj] == generation else -1)
        elif memdesc:
            now = arena[first + obj * L.OBJECT_WORDS + L.OBJECT_GENERATION] & L.MASK_32
            found.append(-2 if now == generation else -1)
        else:
            found.append(-1)
    return tuple(found)
