"""One or more scenarios for each transaction: the state before, and what one member then does.

The first word of a scenario's name is its transaction. Member 0 acts unless it
says otherwise, 1 to 3 are there to take over. Objects: `b` is held by members 1 and 2, published
and lent once, so that a crash that disturbs others is seen.
"""

from __future__ import annotations

from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore.arena import Violation
from tests.explore.crash import Scenario
from tests.explore.world import Member, World

HAND, MAPPING, PIN = L.BY_HAND, L.BY_MAPPING, L.BY_PIN
LOANS_KEPT_S = 60


def must(result: int, *expected: int) -> int:
    """Return a transaction's result if it is one of the expected; with none given, an index."""
    if (expected and result not in expected) or (not expected and result >= L.STATUS):
        raise Violation(f"result: {result:#x} is not what this scenario expects")
    return result


def small(world: World, member: Member, frames: int = 1, by: int = HAND) -> int:
    return must(world.run(member, world.core.alloc.small, 0, frames, by))


def reserve(world: World, member: Member, frames: int) -> int:
    return must(world.run(member, world.core.alloc.reserve, 0, frames, HAND))


def take_runs(world: World, member: Member, obj: int) -> None:
    while must(world.run(member, world.core.alloc.take_run, obj), L.OK, L.MORE) == L.MORE:
        pass


def large(world: World, member: Member, frames: int) -> int:
    """Allocate as a large request does."""
    obj = reserve(world, member, frames)
    take_runs(world, member, obj)
    must(world.alone(member, world.core.alloc.describe, obj), L.OK)
    must(world.run(member, world.core.alloc.finish, obj), L.OK)
    return obj


def allocate_one_run(world: World, _: Any) -> None:
    """Allocate as a large request that fits one run does."""
    member = world.members[0]
    obj = must(world.run(member, world.core.alloc.one_run, 0, 3, HAND))
    must(world.alone(member, world.core.alloc.describe, obj), L.OK)
    must(world.run(member, world.core.alloc.finish, obj), L.OK)


def generation(world: World, obj: int) -> int:
    place = walk.place(world.members[0].mine, L.TABLE_OBJECTS, obj)
    return int(world.arena[place + L.OBJECT_GENERATION])


def hold(world: World, member: Member, obj: int, by: int = HAND) -> None:
    must(world.run(member, world.core.hold.first, obj, generation(world, obj), by), L.OK)


def free_all(world: World, member: Member) -> None:
    while must(world.run(member, world.core.end.end_some), L.MORE, L.DONE) == L.MORE:
        pass


def let_go(world: World, member: Member, obj: int, by: int = HAND) -> None:
    """Let go once, as core/procedures does, one transaction at a time."""
    record = world.alone(member, world.core.hold.subtract, obj, by)
    if record:
        must(world.run(member, world.core.hold.put_holder, record), L.OK)
        world.clean(member)
        free_all(world, member)


def defer(world: World, member: Member, obj: int, by: int = HAND) -> None:
    """Let go while another member has the arena's lock."""
    record = world.alone(member, world.core.hold.subtract, obj, by)
    if record:
        world.alone(member, world.core.hold.defer, record)


def name(member: Member, number: int, description: int = 0) -> None:
    """Put a name and a description into a member's private words."""
    mine = member.mine
    mine[L.MINE_NAME_HASH] = mine[L.MINE_NAME] = number
    mine[L.MINE_NAME_BYTES] = L.WORD_BYTES
    mine[L.MINE_DESCRIPTION_BYTES] = L.WORD_BYTES
    mine[L.MINE_DESCRIPTION] = description


def publish(world: World, member: Member, obj: int, number: int, replace: int = 0) -> None:
    name(member, number, obj)
    publish = world.core.publish.publish
    must(world.run(member, publish, obj, generation(world, obj), replace))


def lend(world: World, member: Member, obj: int) -> tuple[int, int]:
    """Lend an object; return the loan and its id."""
    loan = must(world.run(member, world.core.lend.lend, obj, 0))
    place = walk.place(member.mine, L.TABLE_LOANS, loan)
    return loan, int(world.arena[place + L.LOAN_ID])


def load(world: World, member: Member, obj: int, loan: tuple[int, int], by: int = HAND) -> None:
    load = world.core.lend.load
    must(world.run(member, load, obj, generation(world, obj), *loan, by), L.OK)


def furnish(world: World) -> int:
    """Give the other members something to lose."""
    _, b, c, _ = world.members
    obj = small(world, b, 2)
    hold(world, c, obj, MAPPING)
    publish(world, b, obj, 1)
    lend(world, c, obj)
    return obj


def scatter(world: World, member: Member, free: tuple[int, ...] = (1, 3, 5)) -> None:
    """Use every frame of the arena except a few separate ones."""
    objects = [small(world, member) for _ in range(world.geometry.frames)]
    for k in free:
        let_go(world, member, objects[k])


def nothing(world: World) -> Any:
    return furnish(world)


def scattered(world: World) -> Any:
    scatter(world, world.members[1])
    return None


def reserved(world: World) -> Any:
    scattered(world)
    return reserve(world, world.members[0], 2)


def all_taken(world: World) -> Any:
    obj = reserved(world)
    take_runs(world, world.members[0], obj)
    return obj


def described(world: World) -> Any:
    obj = all_taken(world)
    world.alone(world.members[0], world.core.alloc.describe, obj)
    return obj


def owned(world: World) -> Any:
    furnish(world)
    return small(world, world.members[0], 3)


def shared(world: World) -> Any:
    obj = owned(world)
    hold(world, world.members[1], obj)
    return obj


def marked(world: World) -> Any:
    obj = owned(world)
    must(world.run(world.members[0], world.core.mark.mark, obj), L.OK)
    return obj


def owned_in_runs(world: World) -> Any:
    scatter(world, world.members[1])
    return large(world, world.members[0], 3)


def dying(world: World) -> Any:
    obj = owned_in_runs(world)
    record = world.alone(world.members[0], world.core.hold.subtract, obj, HAND)
    must(world.run(world.members[0], world.core.hold.put_holder, record), L.OK)
    return None


def last_use(world: World) -> Any:
    """An object with the last generation of its record."""
    obj = small(world, world.members[0], 2)
    let_go(world, world.members[0], obj)
    place = walk.place(world.members[0].mine, L.TABLE_OBJECTS, obj)
    world.arena.raw(place + L.OBJECT_GENERATION, L.MASK_32)
    return small(world, world.members[0], 2)


def lent(world: World) -> Any:
    obj = owned(world)
    return obj, lend(world, world.members[0], obj)


def lent_by_another(world: World) -> Any:
    obj = small(world, world.members[1], 2)
    return obj, lend(world, world.members[1], obj)


def in_transit(world: World) -> Any:
    obj, loan = lent_by_another(world)
    lend(world, world.members[1], obj)
    let_go(world, world.members[1], obj)
    return obj, loan


def last_in_transit(world: World) -> Any:
    obj, loan = lent_by_another(world)
    let_go(world, world.members[1], obj)
    return obj, loan


def overdue(world: World) -> Any:
    last_in_transit(world)
    world.core.words.clock[0] += 2 * LOANS_KEPT_S * L.NS_PER_S
    return world.core.lend.oldest(world.arena, world.members[0].mine)


def published(world: World) -> Any:
    obj = owned(world)
    publish(world, world.members[0], obj, 5)
    let_go(world, world.members[0], obj)
    return small(world, world.members[0], 1)


def left_behind(world: World) -> Any:
    """Others let go while member 0 has the lock: two objects, one of them in runs."""
    scatter(world, world.members[0])
    first = large(world, world.members[1], 2)
    second = small(world, world.members[2])
    lend(world, world.members[2], second)
    world.enter(world.members[0])
    defer(world, world.members[1], first)
    defer(world, world.members[2], second)
    return None


def revived(world: World) -> Any:
    """Member 0 let go while 1 had the lock; its records are still on its stack of drops."""
    a, b = world.members[:2]
    objects = [small(world, a) for _ in range(2)]
    lend(world, a, objects[0])
    hold(world, b, objects[0])
    world.enter(b)
    defer(world, a, objects[0])
    defer(world, a, objects[1])
    world.core.lock.unlock(world.arena)
    return objects


def deferred(world: World) -> Any:
    """Member 1 let go while 2 had the lock, which is free again; 0 holds nothing."""
    obj = small(world, world.members[1])
    world.enter(world.members[2])
    defer(world, world.members[1], obj)
    world.core.lock.unlock(world.arena)
    return None


def many_held(world: World) -> Any:
    obj = owned(world)
    lend(world, world.members[0], obj)
    hold(world, world.members[0], small(world, world.members[1]), MAPPING)
    reserve(world, world.members[0], 1)
    return None


def forking(world: World) -> Any:
    many_held(world)
    slot = child_slot(world)
    must(world.run(world.members[0], world.core.fork.begin, slot), L.OK)
    return slot


def forked(world: World) -> Any:
    slot = forking(world)
    copy_all(world, slot)
    parent = world.members[0]
    child = Member(parent.mine[:], slot)
    world.core.fork.become(world.arena, child.mine, slot)
    world.members.append(child)
    return None


def child_slot(world: World) -> int:
    return must(world.core.join.find_free(world.arena, world.members[0].mine, 0))


def fork_begin(world: World, _: Any) -> None:
    slot = child_slot(world)
    # The child's byte is locked by its parent: both die together until there is a child.
    world.members.append(Member(world.members[0].mine[:], slot, alive=False))
    must(world.run(world.members[0], world.core.fork.begin, slot), L.OK)


def copy_all(world: World, slot: int) -> None:
    parent = world.members[0]
    record = world.core.fork.oldest(world.arena, parent.mine)
    while record:
        record = must(world.run(parent, world.core.fork.copy, slot, record))


def fork_copy(world: World, slot: int) -> None:
    world.members.append(Member(world.members[0].mine[:], slot, alive=False))
    copy_all(world, slot)


def dead_with_everything(world: World) -> Any:
    """Member 3 died holding, lending, allocating, bringing a section online, and letting go."""
    d = world.members[3]
    b = small(world, world.members[1])
    hold(world, d, b, PIN)
    lend(world, d, small(world, d))
    dropped = small(world, d)
    reserve(world, d, 1)
    must(world.run(d, world.core.online.begin, 1, L.MASK_16))
    world.enter(world.members[1])
    defer(world, d, dropped)
    world.core.lock.unlock(world.arena)
    d.alive = False
    return d.slot


def dead_alone(world: World) -> Any:
    furnish(world)
    world.members[3].alive = False
    return world.members[3].slot


def dead_forking(world: World) -> Any:
    """A child died before it arrived."""
    slot = forking(world)
    copy_all(world, slot)
    world.members.append(Member(world.members[0].mine[:], slot, alive=False))
    return slot


def reaping(world: World) -> Any:
    slot = dead_with_everything(world)
    must(world.run(world.members[0], world.core.reap.begin, slot), L.OK)
    return slot


def reap_all(world: World, slot: int) -> None:
    while must(world.run(world.members[0], world.core.reap.step, slot), L.MORE, L.DONE) == L.MORE:
        pass


def onlining(world: World) -> Any:
    begun = world.members[0].mine[L.MINE_SECTIONS_AT]
    section = 1 if world.arena[begun] else 0
    must(world.run(world.members[0], world.core.online.begin, section, L.MASK_16))
    return None


def act(name: str, *args: Any, expect: tuple[int, ...] = (L.OK,), context: bool = False) -> Any:
    """Return an operation: member 0 runs one transaction, given as `module.function`."""
    module, function = name.split(".")

    def operate(world: World, given: Any) -> None:
        transaction = getattr(getattr(world.core, module), function)
        given = (given,) if context else ()
        must(world.run(world.members[0], transaction, *given, *args), *expect)

    return operate


def drop(world: World, obj: int) -> None:
    member = world.members[0]
    record = world.alone(member, world.core.hold.subtract, obj, HAND)
    must(world.run(member, world.core.hold.put_holder, record), L.OK)


def publish_new(world: World, obj: int) -> None:
    publish(world, world.members[0], obj, 3)


def publish_instead(world: World, obj: int) -> None:
    publish(world, world.members[0], obj, 5, 1)


def unpublish(world: World, _: Any) -> None:
    name(world.members[0], 5)
    must(world.run(world.members[0], world.core.publish.unpublish), L.OK)


def read_area(world: World, _: Any) -> None:
    name(world.members[0], 5)
    must(world.run(world.members[0], world.core.publish.find))


def load_it(world: World, given: Any) -> None:
    load(world, world.members[0], *given)


def cancel_it(world: World, given: Any) -> None:
    must(world.run(world.members[0], world.core.lend.cancel, *given[1]), L.OK)


def defer_it(world: World, obj: int) -> None:
    """Let go while member 1 has the lock."""
    world.enter(world.members[1])
    defer(world, world.members[0], obj)
    world.leave(world.members[1])


def count_up(world: World, obj: int) -> None:
    member = world.members[0]
    must(world.alone(member, world.core.hold.add, obj, MAPPING), L.OK)
    world.alone(member, world.core.hold.subtract, obj, MAPPING)


def describe_it(world: World, obj: int) -> None:
    must(world.alone(world.members[0], world.core.alloc.describe, obj), L.OK)


def join_it(world: World, _: Any) -> None:
    world.join()


def leave_it(world: World, _: Any) -> None:
    must(world.run(world.members[0], world.core.leave.leave), L.OK)


def allocate_in_runs(world: World, _: Any) -> None:
    large(world, world.members[0], 3)


def arrive(world: World, _: Any) -> None:
    must(world.run(world.members[4], world.core.fork.arrive, 9), L.OK)


SCENARIOS = (
    Scenario("join.join", nothing, join_it, actor=4),
    Scenario("online.begin", nothing, act("online.begin", 1, L.MASK_16, expect=()), sections=1),
    Scenario("online.finish", onlining, act("online.finish", L.MASK_16), sections=1),
    Scenario("online.finish first", onlining, act("online.finish", L.MASK_16), sections=0),
    Scenario("online.abort", onlining, act("online.abort"), sections=1),
    Scenario("online.extend_table", nothing, act("online.extend_table", L.TABLE_RUNS, 64)),
    Scenario("alloc.small", nothing, act("alloc.small", 0, 3, HAND, expect=())),
    Scenario("alloc.one_run", nothing, allocate_one_run),
    Scenario("alloc.reserve", scattered, act("alloc.reserve", 0, 2, HAND, expect=())),
    Scenario("alloc.take_run", reserved, lambda w, o: take_runs(w, w.members[0], o)),
    Scenario("alloc.describe", all_taken, describe_it),
    Scenario("alloc.finish", described, act("alloc.finish", context=True)),
    Scenario("alloc.large", scattered, allocate_in_runs),
    Scenario("hold.first", nothing, lambda w, o: hold(w, w.members[0], o)),
    Scenario("hold.add", owned, count_up),
    Scenario("hold.put_holder shared", shared, drop),
    Scenario("hold.put_holder last", owned, drop),
    Scenario("hold.put_holder last, in runs", owned_in_runs, drop),
    Scenario("hold.put_holder last use", last_use, drop),
    Scenario("hold.put_holder lent", lent, lambda w, given: drop(w, given[0])),
    Scenario("hold.first revived", revived, lambda w, o: hold(w, w.members[0], o[1])),
    Scenario("hold.first revived, lent", revived, lambda w, o: hold(w, w.members[0], o[0])),
    Scenario("hold.defer", owned, defer_it),
    Scenario("hold.leave", left_behind, lambda world, _: world.leave(world.members[0])),
    Scenario("free.free_some", dying, lambda world, _: free_all(world, world.members[0])),
    Scenario("lend.lend", owned, act("lend.lend", 0, context=True, expect=())),
    Scenario("lend.load from its lender", lent_by_another, load_it),
    Scenario("lend.load from transit", in_transit, load_it),
    Scenario("lend.load the last in transit", last_in_transit, load_it),
    Scenario("lend.load its own", lent, load_it),
    Scenario("leave.leave", deferred, leave_it),
    Scenario("lend.cancel", lent, cancel_it),
    Scenario("lend.cancel the last in transit", last_in_transit, cancel_it),
    Scenario("lend.expire", overdue, act("lend.expire", LOANS_KEPT_S, context=True)),
    Scenario("mark.mark", shared, act("mark.mark", context=True)),
    Scenario("mark.mark again", marked, act("mark.mark", context=True)),
    Scenario("hold.put_holder last, marked", marked, drop),
    Scenario("publish.publish", owned, publish_new),
    Scenario("publish.publish instead", published, publish_instead),
    Scenario("publish.unpublish", published, unpublish),
    Scenario("publish.find", published, read_area),
    Scenario("fork.begin", many_held, fork_begin),
    Scenario("fork.copy", forking, fork_copy),
    Scenario("fork.arrive", forked, arrive, actor=4),
    Scenario("reap.begin", dead_alone, act("reap.begin", context=True)),
    Scenario("reap.begin forking", dead_forking, act("reap.begin", context=True)),
    Scenario("reap.step", reaping, reap_all, sections=1),
)  # fmt: skip
