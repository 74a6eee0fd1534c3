"""Rebuild what is derived of queues and topics: lists, counts, leases, places of readers.

Primary words are only read: which object a queue belongs to, its kind, policy and limits; the queue
of each item, its value, ticket and payload, and the consumer record that has leased it; of each
consumer record its queue, its member, what it took, and how far it has read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scamem.core.store import layout as L
from scamem.core.store.words import high, low, pair

if TYPE_CHECKING:
    from .rebuild import Rebuild

STATE_BITS = L.ITEM_STATE_MASK << L.ITEM_STATE_SHIFT


def renew_queues(rebuild: Rebuild) -> None:
    """Make all lists and counts of queues, topics and consumer records."""
    words = rebuild.words
    consumers = _consumers(rebuild)
    items = _items(rebuild)
    slots: dict[int, list[int]] = {}
    for queue in sorted(rebuild.used[L.TABLE_QUEUES]):
        at = rebuild.at(L.TABLE_QUEUES, queue)
        _renew_object(rebuild, queue, at)
        own = consumers.get(queue, [])
        for record in own:
            whose = words[rebuild.at(L.TABLE_CONSUMERS, record) + L.CONSUMER_OF]
            slots.setdefault(whose >> L.CONSUMER_SLOT_SHIFT & L.MASK_16, []).append(record)
        rebuild.link_all(own, L.TABLE_CONSUMERS, L.CONSUMER_QUEUE_LINKS)
        words[at + L.QUEUE_CONSUMERS] = pair(own[0] if own else 0, len(own))
        _renew_items(rebuild, at, items.get(queue, []), own)
    for slot in range(rebuild.mine[L.MINE_SLOTS_MAX]):
        records = slots.get(slot, [])
        rebuild.link_all(records, L.TABLE_CONSUMERS, L.CONSUMER_SLOT_LINKS)
        place = L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_CONSUMERS
        words[place] = records[0] if records else 0
    words[L.QUEUE_WAKING] = 0


def _renew_object(rebuild: Rebuild, queue: int, at: int) -> None:
    """Let an object name its queue; one without holders is on the list of those that ended."""
    words = rebuild.words
    obj = low(words[at + L.QUEUE_OBJECT])
    if obj not in rebuild.used[L.TABLE_OBJECTS]:
        rebuild.cannot.append(f"queue {queue} belongs to object {obj}, which does not exist")
        return
    place = rebuild.at(L.TABLE_OBJECTS, obj)
    words[place + L.OBJECT_STATE] |= L.OBJECT_QUEUE
    words[place + L.OBJECT_LINK] = queue
    if words[place + L.OBJECT_STATE] & L.OBJECT_STATE_MASK == L.OBJECT_STATE_DYING:
        words[at + L.QUEUE_LINK] = words[L.QUEUES_ENDING]
        words[L.QUEUES_ENDING] = queue


def _consumers(rebuild: Rebuild) -> dict[int, list[int]]:
    """Return the consumer records of each queue."""
    found: dict[int, list[int]] = {}
    for record in sorted(rebuild.used[L.TABLE_CONSUMERS]):
        queue = low(rebuild.words[rebuild.at(L.TABLE_CONSUMERS, record) + L.CONSUMER_OF])
        if queue not in rebuild.used[L.TABLE_QUEUES]:
            rebuild.cannot.append(f"consumer record {record} is of queue {queue}, which is free")
        found.setdefault(queue, []).append(record)
    return found


def _items(rebuild: Rebuild) -> dict[int, list[int]]:
    """Return the items of each queue, by their tickets."""
    words = rebuild.words
    found: dict[int, list[int]] = {}
    held: set[int] = set()
    for item in sorted(rebuild.used[L.TABLE_ITEMS]):
        at = rebuild.at(L.TABLE_ITEMS, item)
        queue, holder = low(words[at + L.ITEM_STATE]), low(words[at + L.ITEM_VALUE])
        if queue not in rebuild.used[L.TABLE_QUEUES]:
            rebuild.cannot.append(f"item {item} is of queue {queue}, which is free")
        if holder and (holder not in rebuild.holders or holder in held):
            rebuild.cannot.append(f"item {item} has no holder record of its own ({holder})")
        held.add(holder)
        found.setdefault(queue, []).append(item)
    for items in found.values():
        items.sort(key=lambda item: words[rebuild.at(L.TABLE_ITEMS, item) + L.ITEM_TICKET])
    return found


def _renew_items(rebuild: Rebuild, at: int, items: list[int], consumers: list[int]) -> None:
    """Make a queue's lists and counts: leased items stay leased, all others can be taken."""
    words = rebuild.words
    places = {item: rebuild.at(L.TABLE_ITEMS, item) for item in items}
    leases: dict[int, list[int]] = {record: [] for record in consumers}
    ready: list[int] = []
    for item, place in places.items():
        state = words[place + L.ITEM_STATE] >> L.ITEM_STATE_SHIFT & L.ITEM_STATE_MASK
        owner = low(words[place + L.ITEM_OWNER])
        if state == L.ITEM_STATE_LEASED and owner in leases:
            leases[owner].insert(0, item)
            continue
        ready.append(item)
        kept = words[place + L.ITEM_STATE] & ~STATE_BITS
        words[place + L.ITEM_STATE] = kept | L.ITEM_STATE_READY << L.ITEM_STATE_SHIFT
        words[place + L.ITEM_UNTIL_NS] = words[place + L.ITEM_OWNER] = 0
    for item, after in zip(ready, [*ready[1:], 0], strict=False):
        words[places[item] + L.ITEM_LINKS] = after
    words[at + L.QUEUE_LIST] = pair(ready[0], ready[-1]) if ready else 0
    words[at + L.QUEUE_RETURNED] = 0
    taken = 0
    for record, own in leases.items():
        place = rebuild.at(L.TABLE_CONSUMERS, record)
        rebuild.link_all(own, L.TABLE_ITEMS, L.ITEM_LINKS)
        words[place + L.CONSUMER_LEASES] = pair(own[0] if own else 0, len(own))
        taken += words[place + L.CONSUMER_TAKEN]
    leased = [item for own in leases.values() for item in own]
    timed = [item for item in leased if words[places[item] + L.ITEM_UNTIL_NS]]
    timed.sort(key=lambda item: words[places[item] + L.ITEM_UNTIL_NS])
    rebuild.link_all(timed, L.TABLE_ITEMS, L.ITEM_TIMED)
    words[at + L.QUEUE_TIMED] = pair(timed[0], timed[-1]) if timed else 0
    words[at + L.QUEUE_COUNTS] = pair(len(ready), len(leased))
    newest = max((words[place + L.ITEM_TICKET] for place in places.values()), default=0)
    words[at + L.QUEUE_NEXT_TICKET] = max(words[at + L.QUEUE_NEXT_TICKET], newest + 1)
    kind = words[at + L.QUEUE_OBJECT] >> L.QUEUE_KIND_SHIFT & L.MASK_8
    if kind == L.KIND_TOPIC:
        by_ticket = {words[place + L.ITEM_TICKET]: place for place in places.values()}
        _renew_readers(rebuild, at, by_ticket, consumers)
    else:
        words[at + L.QUEUE_UNFINISHED] = len(items) + taken


def _renew_readers(rebuild: Rebuild, at: int, places: dict[int, int], consumers: list[int]) -> None:
    """Count the readers of a topic where they are."""
    words = rebuild.words
    words[at + L.QUEUE_AT_END] = 0
    for record in consumers:
        cursor = words[rebuild.at(L.TABLE_CONSUMERS, record) + L.CONSUMER_CURSOR]
        if cursor in places:
            place = places[cursor] + L.ITEM_OWNER
            words[place] = pair(0, high(words[place]) + 1)
        elif cursor >= words[at + L.QUEUE_NEXT_TICKET]:
            words[at + L.QUEUE_AT_END] += 1
