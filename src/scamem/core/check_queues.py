# cython: boundscheck=True, wraparound=True, annotation_typing=False
"""I8: each item is in one place of one queue, each consumer record on its member's list and its
queue's; the counts of a queue agree with what is in it; each object that is a queue has one record.

As in check.py: nothing is stored, and nothing is trusted unchecked.
"""

import cython

from . import walk
from .check_lists import unaccounted
from .walk import Finding, Image, high, low

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L

KINDS = (L.KIND_QUEUE, L.KIND_TOPIC)


class Queues:
    """What was found so far: the records in use, and what is wrong."""

    def __init__(self, arena: Image, mine: Image) -> None:
        self.arena = arena
        self.mine = mine
        self.found: list[Finding] = []
        self.queues: set[int] = set()
        self.items: set[int] = set()
        self.consumers: set[int] = set()
        self.holders: set[int] = set()

    def at(self, table: int, index: int) -> int:
        """Return the place of a record; that of record 0 for one that was never used."""
        used = 0 < index < walk.table_end(self.arena, self.mine, table)
        return int(walk.place(self.mine, table, index if used else 0))

    def say(self, place: str, wrong: str) -> None:
        if wrong:
            self.found.append(Finding("I8", place, wrong))

    def item(self, item: int, queue: int, state: int) -> str:
        """Note an item of a queue; return what is wrong with it."""
        at = self.at(L.TABLE_ITEMS, item)
        value = self.arena[at + L.ITEM_STATE]
        holder = low(self.arena[at + L.ITEM_VALUE])
        if item in self.items:
            return f"has item {item}, which is in two places"
        self.items.add(item)
        if low(value) != queue or value >> L.ITEM_STATE_SHIFT & L.ITEM_STATE_MASK != state:
            return f"has item {item}, which is of another queue or in another state"
        if high(self.arena[at + L.ITEM_VALUE]) > L.ITEM_PAYLOAD_WORDS * L.WORD_BYTES:
            return f"has item {item}, whose payload has an impossible size"
        ticket = self.arena[at + L.ITEM_TICKET]
        if ticket >= self.arena[self.at(L.TABLE_QUEUES, queue) + L.QUEUE_NEXT_TICKET]:
            return f"has item {item}, whose ticket {ticket} was not given out yet"
        if holder == 0:
            return ""
        about = self.arena[self.at(L.TABLE_HOLDERS, holder) + L.HOLDER_OBJECT]
        if about >> L.HOLDER_KIND_SHIFT != L.HOLDER_QUEUE or holder in self.holders:
            return f"has item {item}, whose holder record {holder} belongs to something else"
        self.holders.add(holder)
        return ""

    def ticket(self, item: int) -> int:
        return int(self.arena[self.at(L.TABLE_ITEMS, item) + L.ITEM_TICKET])

    def list_of(self, queue: int) -> tuple[list[int], str]:
        """Return the items of a queue's list, and what is wrong with them."""
        ends = self.arena[self.at(L.TABLE_QUEUES, queue) + L.QUEUE_LIST]
        items, wrong = walk.chain(self.arena, self.mine, L.TABLE_ITEMS, low(ends), L.ITEM_LINKS)
        for item in items:
            wrong = self.item(item, queue, L.ITEM_STATE_READY) or wrong
        if not wrong and high(ends) != (items[-1] if items else 0):
            wrong = f"names the wrong newest item, {high(ends)}"
        tickets = [self.ticket(item) for item in items]
        if not wrong and tickets != sorted(set(tickets)):
            wrong = "has items that are not in the order of their tickets"
        return items, wrong

    def heap_of(self, queue: int) -> tuple[int, str]:
        """Return how many items a queue's heap has, and what is wrong with it."""
        todo = [low(self.arena[self.at(L.TABLE_QUEUES, queue) + L.QUEUE_RETURNED])]
        wrong = ""
        count = 0
        while todo:  # bound: each item once
            item = todo.pop()
            if item == 0 or wrong:
                continue
            wrong = self.item(item, queue, L.ITEM_STATE_RETURNED)
            count += 1
            links = self.arena[self.at(L.TABLE_ITEMS, item) + L.ITEM_LINKS]
            ranks = [self.rank(low(links)), self.rank(high(links))]
            if not wrong and (ranks[0] < ranks[1] or self.rank(item) != ranks[1] + 1):
                wrong = f"has item {item} in its heap, whose ranks do not agree"
            for below in (low(links), high(links)):
                if below and self.ticket(below) < self.ticket(item) and not wrong:
                    wrong = f"has item {below} in its heap below a larger ticket"
                todo.append(below)
        return count, wrong

    def rank(self, item: int) -> int:
        if item == 0:
            return 0
        return high(self.arena[self.at(L.TABLE_ITEMS, item) + L.ITEM_OWNER])

    def consumers_of(self, queue: int) -> tuple[list[int], str]:
        """Return a queue's consumer records, and what is wrong with them."""
        head = self.arena[self.at(L.TABLE_QUEUES, queue) + L.QUEUE_CONSUMERS]
        kind = self.arena[self.at(L.TABLE_QUEUES, queue) + L.QUEUE_OBJECT]
        kind = kind >> L.QUEUE_KIND_SHIFT & L.MASK_8
        records, wrong = walk.two_way(
            self.arena, self.mine, low(head), L.CONSUMER_QUEUE_LINKS, L.TABLE_CONSUMERS
        )
        if not wrong and len(records) != high(head):
            wrong = f"counts {high(head)} consumers, has {len(records)}"
        for consumer in records:
            whose = self.arena[self.at(L.TABLE_CONSUMERS, consumer) + L.CONSUMER_OF]
            if low(whose) != queue or whose >> L.CONSUMER_KIND_SHIFT != kind:
                wrong = f"lists consumer record {consumer}, which is of something else"
            elif consumer in self.consumers:
                wrong = f"lists consumer record {consumer}, which another queue lists too"
            self.consumers.add(consumer)
        return records, wrong

    def leases_of(self, queue: int, consumer: int) -> tuple[list[int], str]:
        """Return the items that a consumer record has leased, and what is wrong with them."""
        head = self.arena[self.at(L.TABLE_CONSUMERS, consumer) + L.CONSUMER_LEASES]
        items, wrong = walk.two_way(self.arena, self.mine, low(head), L.ITEM_LINKS, L.TABLE_ITEMS)
        for item in items:
            wrong = self.item(item, queue, L.ITEM_STATE_LEASED) or wrong
            if low(self.arena[self.at(L.TABLE_ITEMS, item) + L.ITEM_OWNER]) != consumer:
                wrong = f"has item {item}, which another consumer has leased"
        if not wrong and len(items) != high(head):
            wrong = f"has a consumer that counts {high(head)} leases, and has {len(items)}"
        return items, wrong

    def queue(self, queue: int, ending: set[int]) -> None:
        """Check one queue or topic."""
        arena = self.arena
        place = self.at(L.TABLE_QUEUES, queue)
        items, wrong = self.list_of(queue)
        returned, text = self.heap_of(queue)
        wrong = wrong or text
        records, text = self.consumers_of(queue)
        wrong = wrong or text
        leases: list[int] = []
        taken = 0
        for consumer in records:
            leased, text = self.leases_of(queue, consumer)
            wrong = wrong or text
            leases += leased
            taken += arena[self.at(L.TABLE_CONSUMERS, consumer) + L.CONSUMER_TAKEN]
        counts = arena[place + L.QUEUE_COUNTS]
        if not wrong and (low(counts), high(counts)) != (len(items) + returned, len(leases)):
            wrong = (
                f"counts {low(counts)} items and {high(counts)} leases, has "
                f"{len(items) + returned} and {len(leases)}"
            )
        is_topic = arena[place + L.QUEUE_OBJECT] >> L.QUEUE_KIND_SHIFT & L.MASK_8 == L.KIND_TOPIC
        unfinished = 0 if is_topic else low(counts) + high(counts) + taken
        if not wrong and queue not in ending and arena[place + L.QUEUE_UNFINISHED] != unfinished:
            text = f"counts {arena[place + L.QUEUE_UNFINISHED]} unfinished items"
            wrong = f"{text}, should be {unfinished}"
        wrong = wrong or self.timed(queue, leases)
        if is_topic and not wrong:
            wrong = self.readers(queue, items, records)
        self.say(f"queue {queue}", wrong)

    def timed(self, queue: int, leases: list[int]) -> str:
        """Return what is wrong with a queue's list of leases that end."""
        ends = self.arena[self.at(L.TABLE_QUEUES, queue) + L.QUEUE_TIMED]
        items, wrong = walk.two_way(self.arena, self.mine, low(ends), L.ITEM_TIMED, L.TABLE_ITEMS)
        until = [k for k in leases if self.arena[self.at(L.TABLE_ITEMS, k) + L.ITEM_UNTIL_NS]]
        if not wrong and sorted(items) != sorted(until):
            wrong = "does not list exactly the leases that end"
        if not wrong and high(ends) != (items[-1] if items else 0):
            wrong = "names the wrong last of the leases that end"
        return wrong

    def readers(self, topic: int, items: list[int], records: list[int]) -> str:
        """Return what is wrong with the counts of those who read an item next."""
        at_item = dict.fromkeys([self.ticket(item) for item in items], 0)
        after = self.arena[self.at(L.TABLE_QUEUES, topic) + L.QUEUE_NEXT_TICKET]
        at_end = 0
        for record in records:
            cursor = self.arena[self.at(L.TABLE_CONSUMERS, record) + L.CONSUMER_CURSOR]
            if cursor >= after:
                at_end += 1
            elif cursor in at_item:
                at_item[cursor] += 1
        if at_end != self.arena[self.at(L.TABLE_QUEUES, topic) + L.QUEUE_AT_END]:
            return f"does not count the {at_end} subscribers that have read everything"
        for item in items:
            counted = self.rank(item)
            if counted != at_item[self.ticket(item)]:
                count = at_item[self.ticket(item)]
                return f"has item {item}, which {count} subscribers read next, not {counted}"
        return ""

    def slots(self) -> None:
        """Check the lists of the members."""
        seen: set[int] = set()
        for slot in range(min(self.arena[L.SLOTS_NEXT], self.mine[L.MINE_SLOTS_MAX])):
            at = L.SLOTS + L.SLOT_WORDS * slot
            head = self.arena[at + L.SLOT_CONSUMERS]
            records, wrong = walk.two_way(
                self.arena, self.mine, low(head), L.CONSUMER_SLOT_LINKS, L.TABLE_CONSUMERS
            )
            for record in records:
                whose = self.arena[self.at(L.TABLE_CONSUMERS, record) + L.CONSUMER_OF]
                if whose >> L.CONSUMER_SLOT_SHIFT & L.MASK_16 != slot or record in seen:
                    wrong = f"lists consumer record {record}, which is of another slot"
                seen.add(record)
            if head and self.arena[at + L.SLOT_STATE] & L.MASK_8 == L.SLOT_STATE_FREE:
                wrong = "is free but has consumer records"
            self.say(f"slot {slot}", wrong)
        for record in sorted(seen ^ self.consumers):
            where = "a slot's list, but no queue's" if record in seen else "no slot's list"
            self.say(f"consumer record {record}", f"is on {where}")


def check_queues(arena: Image, mine: Image) -> list[Finding]:
    """I8: each item, consumer record and queue is in its places, and the counts agree."""
    seen = Queues(arena, mine)
    chain, wrong = walk.chain(arena, mine, L.TABLE_QUEUES, arena[L.QUEUES_ENDING], L.QUEUE_LINK)
    seen.say("queues that ended", wrong)
    ending = set(chain)
    for queue in range(1, walk.table_end(arena, mine, L.TABLE_QUEUES)):
        value = arena[seen.at(L.TABLE_QUEUES, queue) + L.QUEUE_OBJECT]
        if value == 0:
            continue
        seen.queues.add(queue)
        at = seen.at(L.TABLE_OBJECTS, low(value))
        state = arena[at + L.OBJECT_STATE]
        dying = state & L.OBJECT_STATE_MASK == L.OBJECT_STATE_DYING
        if value >> L.QUEUE_KIND_SHIFT & L.MASK_8 not in KINDS:
            seen.say(f"queue {queue}", "is of an unknown kind")
        elif not state & L.OBJECT_QUEUE or low(arena[at + L.OBJECT_LINK]) != queue:
            seen.say(f"queue {queue}", f"belongs to object {low(value)}, which is no such queue")
        elif dying != (queue in ending):
            seen.say(f"queue {queue}", "ended, and is not on the list of those, or the reverse")
        else:
            seen.queue(queue, ending)
    seen.slots()
    for obj, at in walk.objects_in(arena, mine, walk.WITH_RUNS):
        state = arena[at + L.OBJECT_STATE]
        if state & L.OBJECT_QUEUE and low(arena[at + L.OBJECT_LINK]) not in seen.queues:
            seen.say(f"object {obj}", "is a queue that has no record")
    first = walk.place(mine, L.TABLE_HOLDERS, 0)
    for record in range(1, walk.table_end(arena, mine, L.TABLE_HOLDERS)):
        about = arena[first + record * L.HOLDER_WORDS + L.HOLDER_OBJECT]
        if about >> L.HOLDER_KIND_SHIFT == L.HOLDER_QUEUE and record not in seen.holders:
            seen.say(f"holder record {record}", "belongs to an item that does not exist")
    tables = (
        (L.TABLE_QUEUES, seen.queues),
        (L.TABLE_ITEMS, seen.items),
        (L.TABLE_CONSUMERS, seen.consumers),
    )
    for table, used in tables:
        seen.found += unaccounted(arena, mine, table, used, "I8")
    return seen.found
