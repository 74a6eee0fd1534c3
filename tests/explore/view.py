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
    if owner & L.MASK_16 in (L.SLOT_AREAS, L.SLOT_QUEUES):
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


def item_view(arena: Any, mine: Any, item: int) -> tuple[int, ...]:
    """Return an item's ticket, state, attempts, form, object and first word."""
    at = walk.place(mine, L.TABLE_ITEMS, item)
    record = walk.low(arena[at + L.ITEM_VALUE])
    obj = walk.low(arena[walk.place(mine, L.TABLE_HOLDERS, record)]) if record else 0
    value = arena[at + L.ITEM_STATE] >> L.ITEM_STATE_SHIFT
    return arena[at + L.ITEM_TICKET], value, obj, arena[at + L.ITEM_PAYLOAD]


def queue_view(arena: Any, mine: Any, queue: int) -> tuple[Any, ...]:
    """Return what a queue has: its settings and counts, its items, and what members have of it."""
    at = walk.place(mine, L.TABLE_QUEUES, queue)
    items, consumers = [], []
    for item in range(1, walk.table_end(arena, mine, L.TABLE_ITEMS)):
        value = arena[walk.place(mine, L.TABLE_ITEMS, item) + L.ITEM_STATE]
        if value and walk.low(value) == queue:
            items.append(item_view(arena, mine, item))
    for record in range(1, walk.table_end(arena, mine, L.TABLE_CONSUMERS)):
        about = walk.place(mine, L.TABLE_CONSUMERS, record)
        if walk.low(arena[about + L.CONSUMER_OF]) == queue and arena[about + L.CONSUMER_OF]:
            cursor = arena[about + L.CONSUMER_CURSOR], arena[about + L.CONSUMER_MISSED]
            leases = walk.high(arena[about + L.CONSUMER_LEASES])
            whose = arena[about + L.CONSUMER_OF] >> L.CONSUMER_SLOT_SHIFT
            consumers.append((whose, arena[about + L.CONSUMER_TAKEN], leases, *cursor))
    numbers = (
        L.QUEUE_OBJECT, L.QUEUE_COUNTS, L.QUEUE_NEXT_TICKET, L.QUEUE_MAXSIZE, L.QUEUE_UNFINISHED,
        L.QUEUE_DROPPED, L.QUEUE_LEASE_NS, L.QUEUE_AT_END,
    )  # fmt: skip
    return (
        tuple(arena[at + k] for k in numbers),
        tuple(sorted(items)),
        tuple(sorted(consumers)),
    )


def queues_view(arena: Any, mine: Any) -> tuple[tuple[Any, ...], ...]:
    """Return what each queue has."""
    end = walk.table_end(arena, mine, L.TABLE_QUEUES)
    first = walk.place(mine, L.TABLE_QUEUES, 0)
    used = [k for k in range(1, end) if arena[first + k * L.QUEUE_WORDS + L.QUEUE_OBJECT]]
    return tuple(sorted(queue_view(arena, mine, queue) for queue in used))


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
    queues = queues_view(arena, mine)
    return objects, free, sections, slots, areas_view(world, arena, mine), queues
