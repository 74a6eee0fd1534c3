"""Faults of queues and topics, and the check that must catch each."""

from __future__ import annotations

from scamem.core.store import layout as L
from tests.explore import queue_scenarios as Q
from tests.explore import queue_steps as W
from tests.explore import scenarios as S
from tests.explore.arena import Violation
from tests.explore.faults import Fault, crash, order
from tests.explore.interpreted import Core
from tests.explore.world import new_world


def late_done(core: Core) -> None:
    """A lease ended, and another consumer has the item: the late done() must be refused."""
    world = new_world(core, members=2)
    queue = Q.make(world)
    S.must(Q.put(world, world.members[0], queue, 1), L.OK)
    late = Q.lease(world, world.members[0], queue, core.words.clock[0] + Q.LEASE_NS)
    core.words.clock[0] += 2 * Q.LEASE_NS
    S.must(world.run(world.members[1], core.dequeue.expire, queue), L.MORE)
    Q.lease(world, world.members[0], queue)
    status = world.run(world.members[0], core.dequeue.done, *late)
    if status != L.NOT_LEASED:
        raise Violation(f"lease: a late done() gave {status:#x}")


def blocked(core: Core) -> None:
    """A subscriber reads the oldest item next: the publisher must wait."""
    world = new_world(core, members=2)
    topic = Q.make(world, L.KIND_TOPIC, L.POLICY_BLOCK, 1)
    S.must(Q.publish(world, world.members[0], topic, 1), L.OK)
    S.must(world.run(world.members[1], core.broadcast.subscribe, topic, 0, 0))
    status = Q.publish(world, world.members[0], topic, 2)
    if status != L.QUEUE_FULL:
        raise Violation(f"topic: a publisher that must wait got {status:#x}")


def several_leases(core: Core) -> None:
    """task_done() of a member with two leases must be refused."""
    world = new_world(core, members=2)
    queue = Q.make(world)
    for value in (1, 2):
        S.must(Q.put(world, world.members[0], queue, value), L.OK)
        Q.lease(world, world.members[0], queue)
    status = world.run(world.members[0], core.dequeue.task_done, queue, 0)
    if status != L.TOO_MANY_LEASES:
        raise Violation(f"lease: an ambiguous task_done() gave {status:#x}")


def leaves(core: Core) -> None:
    """A member that has leases must not free its slot."""
    world = new_world(core, members=2)
    queue = Q.make(world)
    S.must(Q.put(world, world.members[0], queue, 1), L.OK)
    Q.lease(world, world.members[1], queue)
    obj = int(world.arena[W.place_of(world, queue)] & L.MASK_32)
    S.let_go(world, world.members[1], obj)
    status = world.run(world.members[1], core.leave.leave)
    if status != L.IN_USE:
        raise Violation(f"leaving: a member with leases got {status:#x}")


FAULTS = (
    Fault(
        "ticket ignored on give-back", "returned",
        "        if ticket(arena, mine, other) < ticket(arena, mine, one):\n",
        "        if False:\n",
        crash("dequeue.take what came back"), "I8 .*below a larger ticket",
    ),
    Fault(
        "what came back is taken last", "transactions/items",
        "        return root\n    return first\n", "        return first\n    return first\n",
        crash("dequeue.take what came back"), "order: ",
    ),
    Fault(
        "ranks of the heap not kept", "returned",
        "pair(0, rank(arena, mine, one) + 1)", "pair(0, 1)",
        crash("dequeue.take what came back"), "I8 .*ranks do not agree",
    ),
    Fault(
        "item counted twice", "transactions/items",
        "    queues.count_ready(arena, place, 1)\n", "    queues.count_ready(arena, place, 2)\n",
        crash("enqueue.put"), "I8 .*counts",
    ),
    Fault(
        "lease kept by a reaped slot", "transactions/settle",
        "    if low(arena[at + L.CONSUMER_LEASES]) != 0:\n", "    if False:\n",
        crash("settle.step a reaped member"), "damage: ",
    ),
    Fault(
        "consumer records not settled at a reap", "transactions/reap",
        "    if arena[about + L.SLOT_CONSUMERS] != 0:\n", "    if False:\n",
        crash("dequeue.take"), "I8 slot .* free but has consumer records",
    ),
    Fault(
        "what a dead consumer took never counts as done", "transactions/settle",
        "arena[place + L.QUEUE_UNFINISHED] - taken)", "arena[place + L.QUEUE_UNFINISHED])",
        crash("settle.step a reaped member"), "I8 .*unfinished",
    ),
    Fault(
        "an item dropped without its reference", "transactions/items",
        "    if holder != 0:\n        free.let_go(arena, mine, holder)\n", "",
        crash("dequeue.take an array"), "I8 .*belongs to an item that does not exist",
    ),
    Fault(
        "the oldest item dropped in the transaction of the new one", "transactions/enqueue",
        "    return finish_one(arena, mine, place, queue, 0)\n",
        "    left: word = arena[place + L.QUEUE_UNFINISHED]\n"
        "    journal.put(arena, place + L.QUEUE_UNFINISHED, left - 1)\n    return L.OK\n",
        crash("enqueue.put drops the oldest"), "I8 .*not given out yet",
    ),
    Fault(
        "a lease that is not counted", "transactions/dequeue",
        "    queues.count_leased(arena, place)\n", "",
        crash("dequeue.lease"), "I8 .*counts",
    ),
    Fault(
        "the end of a lease not forgotten", "transactions/items",
        "    consumers.remove_timed(arena, mine, queue, item)\n", "",
        crash("dequeue.expire"), "I8 .*leases that end",
    ),
    Fault(
        "a late done() accepted", "transactions/dequeue",
        " or value >> L.ITEM_ATTEMPTS_SHIFT != attempts:", ":",
        late_done, "lease: a late",
    ),
    Fault(
        "task_done() finishes one of several leases", "transactions/dequeue",
        "    if high(arena[at + L.CONSUMER_LEASES]) > 1:\n        return L.TOO_MANY_LEASES\n", "",
        several_leases, "lease: an ambiguous",
    ),
    Fault(
        "an ended queue freed with its items", "transactions/end",
        "    if item != 0:\n", "    if False:\n",
        crash("end.end_some"), "damage: ",
    ),
    Fault(
        "a member leaves with leases", "transactions/leave",
        " or arena[about + L.SLOT_CONSUMERS] != 0:", ":",
        leaves, "leaving: ",
    ),
    Fault(
        "wake lost", "queues",
        "            if cython.cast(word, futex_wake(arena, event_at(place, bit), most)) < most:\n",
        "            if False:\n",
        order(W.handed_over), "hang: ",
    ),
    Fault(
        "a waiter that nobody knows of", "queues",
        "        if compare_exchange(arena, place + L.QUEUE_AWAITED, seen, seen | bits):\n"
        "            return\n",
        "        return\n",
        order(W.handed_over), "hang: ",
    ),
    Fault(
        "the counter of a queue not changed", "queues",
        "        if which & bit != 0:\n            exchange(arena, ",
        "        if which & bit == L.ALL_ONES:\n            exchange(arena, ",
        order(W.handed_over), "hang: ",
    ),
    Fault(
        "the end of a queue wakes one waiter", "queues",
        "    if is_closed(arena, place) or count > L.WAKE_ALL:\n        count = L.WAKE_ALL\n",
        "    count = 1\n",
        order(W.closed), "hang: ",
    ),
    Fault(
        "a dead member's wake not finished", "queues",
        "        deliver(arena, tables.place(mine, L.TABLE_QUEUES, queue), L.QUEUE_EVENTS_ALL, "
        "L.WAKE_ALL)\n",
        "        pass\n",
        order(W.left_asleep), "hang: ",
    ),
    Fault(
        "a publisher drops what is read next", "transactions/broadcast",
        " == L.POLICY_BLOCK and high(arena[at + L.ITEM_OWNER]) != 0:", " == L.ALL_ONES:",
        blocked, "topic: ",
    ),
    Fault(
        "a dead subscriber holds the publisher back", "transactions/broadcast",
        "    uncount(arena, mine, consumer, next_of(arena, mine, consumer))\n", "",
        crash("broadcast.unsubscribe"), "I8 .*subscribers",
    ),
    Fault(
        "values missed by a subscriber not counted", "transactions/broadcast",
        "        journal.put(arena, at + L.CONSUMER_MISSED, cursor)\n", "",
        crash("broadcast.read behind what was dropped"), "missed: ",
    ),
    Fault(
        "a subscriber that goes on at the oldest", "transactions/broadcast",
        "            if arena[place + L.ITEM_TICKET] == cursor - 1:\n"
        "                return low(arena[place + L.ITEM_LINKS])\n",
        "            pass\n",
        crash("broadcast.read"), "I8 .*subscribers read next",
    ),
)  # fmt: skip
