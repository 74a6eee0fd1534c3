"""What an arena says, independent of which words say it: to compare two arenas."""

from __future__ import annotations

from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore.world import World

View = tuple[Any, ...]


def holder_view(world: World, arena: Any, mine: Any, record: int) -> tuple[Any, ...]:
    """Return the holder of a record, its counts, and its loans."""
    at = walk.place(mine, L.TABLE_HOLDERS, record)
    owner = arena[at + L.HOLDER_OBJECT] >> L.HOLDER_SLOT_SHIFT
    head = walk.low(arena[at + L.HOLDER_LOANS])
    if owner & L.MASK_16 == L.SLOT_AREAS:
        return owner, 0, 0, ()
    loans, _ = walk.chain(arena, mine, L.TABLE_LOANS, head, L.LOAN_LINKS)
    ids = tuple(sorted(arena[walk.place(mine, L.TABLE_LOANS, k) + L.LOAN_ID] for k in loans))
    return owner, arena[at + L.HOLDER_COUNTS], arena[at + L.HOLDER_PINS], ids


def objects_view(world: World, arena: Any, mine: Any) -> dict[int, tuple[Any, ...]]:
    """Return each existing object: state, generation, frames in order, holders."""
    seen = {}
    for obj, at in walk.objects_in(arena, mine, walk.WITH_RUNS):
        runs, _, _ = walk.runs_of(arena, mine, at)
        start = walk.low(arena[at + L.OBJECT_HOLDERS])
        records, _ = walk.two_way(arena, mine, start, L.HOLDER_OBJECT_LINKS)
        seen[obj] = (
            # The member that marks an object owns the section; a mark left behind means nothing.
            arena[at + L.OBJECT_STATE] & L.OBJECT_STATE_ZONE_FLAGS & ~L.OBJECT_MIGRATING,
            arena[at + L.OBJECT_GENERATION],
            tuple(pfn for first, count in runs for pfn in range(first, first + count)),
            tuple(sorted(holder_view(world, arena, mine, record) for record in records)),
        )
    return seen


def areas_view(world: World, arena: Any, mine: Any) -> tuple[tuple[int, ...], ...]:
    """Return each name's hash, its object, its flags, and its description's first word."""
    found = []
    for bucket in range(world.geometry.hash_buckets):
        head = arena[mine[L.MINE_HASH_AT] + bucket]
        for area in walk.chain(arena, mine, L.TABLE_AREAS, head, L.AREA_LINK)[0]:
            at = walk.place(mine, L.TABLE_AREAS, area)
            record = walk.high(arena[at + L.AREA_LINK])
            holder = walk.place(mine, L.TABLE_HOLDERS, record)
            obj = walk.low(arena[holder + L.HOLDER_OBJECT])
            flags = arena[at + L.AREA_FLAGS]
            found.append((arena[at + L.AREA_HASH], obj, flags, arena[at + L.AREA_DESCRIPTION]))
    return tuple(sorted(found))


def view(world: World) -> View:
    """Return everything that members of an arena can distinguish."""
    arena, mine = world.arena.plain(), world.members[0].mine
    runs, _ = walk.free_runs(arena, mine)
    free = tuple(sorted(pfn for first, count in runs for pfn in range(first, first + count)))
    sections = tuple(
        arena[mine[L.MINE_SECTIONS_AT] + k] & L.MASK_8 for k in range(mine[L.MINE_SECTIONS])
    )
    slots = tuple(
        arena[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE] & L.MASK_8
        for slot in range(world.geometry.slots_max)
    )
    objects = tuple(sorted(objects_view(world, arena, mine).items()))
    return objects, free, sections, slots, areas_view(world, arena, mine)
