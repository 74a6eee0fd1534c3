"""Scenarios of queues and topics: the state before, and what one member then does.

Member 0 makes the queue and acts, unless a scenario says otherwise; members 1 to 3 hold the queue
too. An item's value is its number; one that lies in an object has that object.
"""

from __future__ import annotations

from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.arena import Violation
from tests.explore.crash import Scenario
from tests.explore.world import Member, World

LEASE_NS = 1_000
SMALL, SHARED = 1, 4  # forms


def make(
    world: World,
    kind: int = L.KIND_QUEUE,
    policy: int = L.POLICY_BLOCK,
    most: int = 0,
    lease_ns: int = 0,
) -> int:
    """Make a queue that every member holds; return its record."""
    first = world.members[0]
    obj = S.small(world, first)
    queue = S.must(world.run(first, world.core.configure.make, obj, kind, policy, most, lease_ns))
    for other in world.members[1:]:
        S.hold(world, other, obj)
    return queue


def stage(member: Member, value: int) -> None:
    """Put a value into a member's private words."""
    member.mine[L.MINE_DESCRIPTION] = value
    member.mine[L.MINE_DESCRIPTION_BYTES] = L.WORD_BYTES


def put(world: World, member: Member, queue: int, value: int, obj: int = 0) -> int:
    """Put a value; return the status."""
    stage(member, value)
    return int(world.run(member, world.core.enqueue.put, queue, SHARED if obj else SMALL, obj))


def put_array(world: World, member: Member, queue: int, value: int) -> None:
    """Put a value that lies in an object, which the member lets go of."""
    obj = S.small(world, member)
    S.must(put(world, member, queue, value, obj), L.OK)
    S.let_go(world, member, obj)


def publish(world: World, member: Member, topic: int, value: int, obj: int = 0) -> int:
    stage(member, value)
    return int(world.run(member, world.core.broadcast.publish, topic, SMALL, obj))


def taken(member: Member) -> int:
    return int(member.mine[L.MINE_DESCRIPTION])


def take(world: World, member: Member, queue: int, expected: int | None = None) -> None:
    """Take the oldest item."""
    S.must(world.run(member, world.core.dequeue.take, queue, 0), L.OK)
    if expected is not None and taken(member) != expected:
        raise Violation(f"order: {taken(member)} was taken, not {expected}")


def lease(
    world: World, member: Member, queue: int, until: int = 0, expected: int | None = None
) -> tuple[int, int, int]:
    """Lease the oldest item; return what names the lease."""
    S.must(world.run(member, world.core.dequeue.lease, queue, 0, until), L.OK)
    if expected is not None and taken(member) != expected:
        raise Violation(f"order: {taken(member)} was leased, not {expected}")
    mine = member.mine
    return mine[L.MINE_ITEM], mine[L.MINE_ITEM_TICKET], mine[L.MINE_ITEM_ATTEMPTS]


def empty(world: World, member: Member, queue: int, expected: tuple[int, ...]) -> None:
    """Take everything, in the expected order."""
    for value in expected:
        take(world, member, queue, value)
    if world.run(member, world.core.dequeue.take, queue, 0) not in (L.EMPTY, L.CLOSED):
        raise Violation("order: there is one item more")


def furnished(world: World, **settings: int) -> int:
    """A queue with a small item and one in an object, beside other things."""
    S.furnish(world)
    queue = make(world, **settings)
    S.must(put(world, world.members[1], queue, 1), L.OK)
    put_array(world, world.members[1], queue, 2)
    return queue


def bare(world: World) -> Any:
    S.furnish(world)
    return S.small(world, world.members[0])


def with_object(world: World) -> Any:
    return furnished(world), S.small(world, world.members[0])


def full(world: World) -> Any:
    return furnished(world, policy=L.POLICY_DROP_OLDEST, most=2)


def full_of_arrays(world: World) -> Any:
    queue = make(world, policy=L.POLICY_DROP_OLDEST, most=1)
    put_array(world, world.members[1], queue, 2)
    return queue


def one_array(world: World) -> Any:
    queue = make(world)
    put_array(world, world.members[1], queue, 2)
    return queue


def leased(world: World) -> Any:
    """Three items, leased by member 0, two by two different ways."""
    queue = furnished(world, lease_ns=0)
    S.must(put(world, world.members[1], queue, 3), L.OK)
    return queue, [lease(world, world.members[0], queue, 0) for _ in range(3)]


def timed(world: World) -> Any:
    queue = make(world)
    for value in (1, 2, 3):
        S.must(put(world, world.members[1], queue, value), L.OK)
    now = world.core.words.clock[0]
    for until in (2 * LEASE_NS, LEASE_NS, 3 * LEASE_NS):
        lease(world, world.members[1], queue, now + until)
    world.core.words.clock[0] += 10 * LEASE_NS
    return queue


def taken_both(world: World) -> Any:
    """Member 0 has taken one item and leased another; member 1 has leased the third."""
    queue = furnished(world)
    for value in (3, 4):
        S.must(put(world, world.members[1], queue, value), L.OK)
    take(world, world.members[0], queue, 1)
    lease(world, world.members[1], queue, 0, 2)
    lease(world, world.members[0], queue, 0, 3)
    lease(world, world.members[0], queue, 0, 4)
    world.members[0].alive = False
    return queue


def one_taken(world: World) -> Any:
    queue = furnished(world)
    take(world, world.members[0], queue)
    return queue


def closed_with_lease(world: World) -> Any:
    queue = make(world)
    S.must(put(world, world.members[0], queue, 1), L.OK)
    found = lease(world, world.members[0], queue)
    S.must(world.run(world.members[1], world.core.configure.close, queue), L.OK)
    return queue, [found]


def returned(world: World) -> Any:
    """Items 2, 1 and 3 came back; 4 was never taken."""
    queue = make(world)
    for value in (1, 2, 3, 4):
        S.must(put(world, world.members[1], queue, value), L.OK)
    found = [lease(world, world.members[0], queue) for _ in range(3)]
    for k in (1, 0, 2):
        S.must(world.run(world.members[0], world.core.dequeue.give_back, *found[k]), L.OK)
    return queue


def nested(world: World) -> Any:
    """A queue in a queue, which both have items; nobody but member 0 holds the outer one."""
    member = world.members[0]
    inner_obj = S.small(world, member)
    make_it = world.core.configure.make
    inner = S.must(world.run(member, make_it, inner_obj, L.KIND_QUEUE, 0, 0, 0))
    S.must(put(world, member, inner, 7), L.OK)
    put_array(world, member, inner, 8)
    obj = S.small(world, member)
    outer = S.must(world.run(member, make_it, obj, L.KIND_QUEUE, 0, 0, 0))
    S.must(put(world, member, outer, 1, inner_obj), L.OK)
    S.must(put(world, member, outer, 2), L.OK)
    take(world, member, inner, 7)
    lease(world, member, inner, 0, 8)
    S.let_go(world, member, inner_obj)
    return obj


def topic(world: World, policy: int = L.POLICY_DROP_OLDEST, most: int = 2) -> int:
    S.furnish(world)
    return make(world, L.KIND_TOPIC, policy, most)


def a_topic(world: World) -> Any:
    made = topic(world)
    S.must(publish(world, world.members[1], made, 1), L.OK)
    return made


def subscribed(world: World) -> Any:
    """Member 0 reads from the oldest item, member 1 from the next one; the topic is full."""
    made = topic(world)
    subscribe = world.core.broadcast.subscribe
    S.must(publish(world, world.members[1], made, 1), L.OK)
    first = S.must(world.run(world.members[0], subscribe, made, 0, 0))
    S.must(world.run(world.members[1], subscribe, made, L.ALL_ONES, 0))
    obj = S.small(world, world.members[1])
    S.must(publish(world, world.members[1], made, 2, obj), L.OK)
    S.let_go(world, world.members[1], obj)
    return made, first


def lagging(world: World) -> Any:
    made, first = subscribed(world)
    S.must(publish(world, world.members[1], made, 3), L.OK)
    return made, first


def steps(world: World, member: int, *calls: tuple[Any, ...]) -> None:
    for transaction, *args in calls:
        world.run(world.members[member], transaction, *args)


def do_make(world: World, obj: int) -> None:
    S.must(world.run(world.members[0], world.core.configure.make, obj, L.KIND_QUEUE, 0, 0, 0))


def do_put(world: World, queue: Any) -> None:
    queue, obj = queue if isinstance(queue, tuple) else (queue, 0)
    S.must(put(world, world.members[0], queue, 9, obj), L.OK)


def do_take(world: World, queue: int) -> None:
    take(world, world.members[0], queue)


def do_lease(world: World, queue: int) -> None:
    now = world.core.words.clock[0]
    lease(world, world.members[0], queue, now + LEASE_NS)


def do_done(world: World, found: Any) -> None:
    S.must(world.run(world.members[0], world.core.dequeue.done, *found[1][0]), L.OK)


def do_give_back(world: World, found: Any) -> None:
    S.must(world.run(world.members[0], world.core.dequeue.give_back, *found[1][1]), L.OK)
    if len(found[1]) > 2:
        S.must(world.run(world.members[0], world.core.dequeue.give_back, *found[1][0]), L.OK)


def do_expire(world: World, queue: int) -> None:
    member = world.members[0]
    while world.run(member, world.core.dequeue.expire, queue) == L.MORE:
        pass
    empty(world, member, queue, (1, 2, 3))


def do_task_done(world: World, queue: int) -> None:
    S.must(world.run(world.members[0], world.core.dequeue.task_done, queue, 0), L.OK)


def do_close(world: World, queue: int) -> None:
    S.must(world.run(world.members[0], world.core.configure.close, queue), L.OK)


def do_reap(world: World, queue: int) -> None:
    """Member 1 reaps member 0, and takes what came back, in its order."""
    world.reap(world.members[1], world.members[0].slot)
    empty(world, world.members[1], queue, (3, 4))


def do_take_returned(world: World, queue: int) -> None:
    empty(world, world.members[0], queue, (1, 2, 3, 4))


def do_end(world: World, obj: int) -> None:
    S.let_go(world, world.members[0], obj)
    if walk.table_end(world.arena, world.members[0].mine, L.TABLE_ITEMS) < 1:
        raise Violation("scenario: there were no items")


def do_settle(world: World, found: Any) -> None:
    member = world.members[0]
    while world.run(member, world.core.settle.step, member.slot) == L.MORE:
        pass


def do_publish(world: World, found: Any) -> None:
    made = found[0] if isinstance(found, tuple) else found
    S.must(publish(world, world.members[0], made, 9), L.OK)


def do_subscribe(world: World, made: int) -> None:
    subscribe = world.core.broadcast.subscribe
    S.must(world.run(world.members[0], subscribe, made, 0, 0))
    S.must(world.run(world.members[0], subscribe, made, L.ALL_ONES, 0))


def read(world: World, member: Member, made: int, record: int, value: int, newest: int = 0) -> None:
    S.must(world.run(member, world.core.broadcast.read, made, record, newest), L.OK)
    if taken(member) != value:
        raise Violation(f"order: {taken(member)} was read, not {value}")


def do_read(world: World, found: tuple[int, int]) -> None:
    read(world, world.members[0], *found, 1)
    read(world, world.members[0], *found, 2)


def do_read_lagging(world: World, found: tuple[int, int]) -> None:
    read(world, world.members[0], *found, 2)
    missed = walk.place(world.members[0].mine, L.TABLE_CONSUMERS, found[1]) + L.CONSUMER_MISSED
    if world.arena[missed] != 1:
        raise Violation(f"missed: {world.arena[missed]}, not 1")


def do_read_newest(world: World, found: tuple[int, int]) -> None:
    read(world, world.members[0], *found, 3, 1)


def do_unsubscribe(world: World, found: Any) -> None:
    S.must(world.run(world.members[0], world.core.broadcast.unsubscribe, *found), L.OK)


SCENARIOS = (
    Scenario("configure.make", bare, do_make),
    Scenario("configure.close", furnished, do_close),
    Scenario("enqueue.put", with_object, do_put),
    Scenario("enqueue.put drops the oldest", full, do_put),
    Scenario("enqueue.put drops an array", full_of_arrays, do_put),
    Scenario("dequeue.take", furnished, do_take),
    Scenario("dequeue.take an array", one_array, do_take),
    Scenario("dequeue.take what came back", returned, do_take_returned),
    Scenario("dequeue.lease", furnished, do_lease),
    Scenario("dequeue.lease an array", one_array, do_lease),
    Scenario("dequeue.done", leased, do_done),
    Scenario("dequeue.done of the last", closed_with_lease, do_done),
    Scenario("dequeue.give_back", leased, do_give_back),
    Scenario("dequeue.expire", timed, do_expire),
    Scenario("dequeue.task_done", one_taken, do_task_done),
    Scenario("settle.step a reaped member", taken_both, do_reap, actor=1),
    Scenario("settle.step at a leave", leased, do_settle),
    Scenario("end.end_some", nested, do_end),
    Scenario("broadcast.publish", a_topic, do_publish),
    Scenario("broadcast.publish drops the oldest", subscribed, do_publish),
    Scenario("broadcast.subscribe", a_topic, do_subscribe),
    Scenario("broadcast.read", subscribed, do_read),
    Scenario("broadcast.read behind what was dropped", lagging, do_read_lagging),
    Scenario("broadcast.read the newest", lagging, do_read_newest),
    Scenario("broadcast.unsubscribe", subscribed, do_unsubscribe),
)
