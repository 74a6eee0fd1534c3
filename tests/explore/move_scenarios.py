"""Scenarios of frames that move between objects, and of frames that must be cleaned."""

from __future__ import annotations

from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore.crash import Scenario
from tests.explore.scenarios import (
    HAND,
    MAPPING,
    act,
    generation,
    hold,
    large,
    lend,
    let_go,
    must,
    publish,
    published,
    reap_all,
    reserve,
    scatter,
    small,
)
from tests.explore.world import Member, World


def splice(world: World, member: Member, source: int, target: int, expected: int = 0) -> None:
    """Append one object's frames to another, as Member.splice does."""
    move = world.core.move
    must(world.run(member, move.begin, source, generation(world, source)), L.OK)
    must(world.alone(member, move.describe, source, target), L.OK)
    must(world.run(member, move.graft, source, target, expected), L.OK)


def two_owned(world: World) -> Any:
    """A tainted source of several runs that only member 0 holds; a target that others hold too."""
    a, b = world.members[:2]
    target = small(world, a, 2)
    hold(world, b, target, MAPPING)
    small(world, b)
    filler = small(world, a)
    small(world, b)
    let_go(world, a, filler)
    source = large(world, a, 3)
    taint(world, source)
    return source, target


def taint(world: World, obj: int) -> None:
    """Kill a member with I/O on an object under way."""
    d = world.members[3]
    hold(world, d, obj, L.BY_IO)
    d.alive = False
    world.reap(world.members[0])


def moving(world: World) -> Any:
    source, target = two_owned(world)
    must(world.run(world.members[0], world.core.move.begin, source, generation(world, source)))
    return source, target


def moving_described(world: World) -> Any:
    source, target = moving(world)
    must(world.alone(world.members[0], world.core.move.describe, source, target), L.OK)
    return source, target


def tail_and_runs(world: World) -> Any:
    """An object of two runs that only member 0 holds, twice, and a tail without frames."""
    a = world.members[0]
    scatter(world, world.members[1], (1, 2, 3, 5))
    obj = large(world, a, 4)
    hold(world, a, obj)
    return obj, reserve(world, a, 0)


def cut_at(kept: int, left: int) -> Any:
    """Return an operation: cut inside the first run (of three frames), or after it."""

    def operate(world: World, given: Any) -> None:
        obj, tail = given
        member = world.members[0]
        at = walk.place(member.mine, L.TABLE_OBJECTS, obj)
        run = walk.low(world.arena[at + L.OBJECT_RUNS])
        seen = walk.high(world.arena[at + L.OBJECT_STATE])
        cut = world.core.move.cut
        must(world.run(member, cut, obj, tail, run, kept, left, seen), L.OK)
        let_go(world, member, tail)

    return operate


def marked_and_tainted(world: World) -> Any:
    return marked(world, True)


def marked(world: World, tainted: bool = False) -> Any:
    """A published and lent object without views, its copy MOVING and described."""
    a, b = world.members[:2]
    obj = small(world, a, 2)
    publish(world, a, obj, 1)
    lend(world, a, obj)
    if tainted:
        taint(world, obj)
    copy = small(world, a, 2)
    must(world.run(a, world.core.move.begin, copy, generation(world, copy)), L.OK)
    must(world.run(a, world.core.move.mark, obj, generation(world, obj)), L.OK)
    must(world.alone(a, world.core.move.describe, copy, obj), L.OK)
    small(world, b)
    return obj, copy


def mark_it(world: World, obj: int) -> None:
    must(world.run(world.members[0], world.core.move.mark, obj, generation(world, obj)), L.OK)


def exchange_it(world: World, given: Any) -> None:
    member = world.members[0]
    must(world.run(member, world.core.move.exchange, *given), L.OK)
    let_go(world, member, given[1])


def marked_and_held(world: World) -> Any:
    """A new holder of a marked object makes its copy worthless, even if it lets go again."""
    given = marked(world)
    hold(world, world.members[1], given[0])
    let_go(world, world.members[1], given[0])
    return given


def exchange_refused(world: World, given: Any) -> None:
    member = world.members[0]
    must(world.run(member, world.core.move.exchange, *given), L.NOT_ALONE)
    let_go(world, member, given[1])


def begin_move(world: World, given: Any) -> None:
    source = given[0]
    must(world.run(world.members[0], world.core.move.begin, source, generation(world, source)))


def describe_move(world: World, given: Any) -> None:
    must(world.alone(world.members[0], world.core.move.describe, *given), L.OK)


def splice_it(world: World, given: Any) -> None:
    splice(world, world.members[0], *given)


def graft_early(world: World, given: Any) -> None:
    """A fault: the frames are appended to the target before they are described."""
    source, target = given
    member, core = world.members[0], world.core
    begin_move(world, given)
    must(world.run(member, core.move.graft, source, target, 0), L.OK)
    value = core.memdesc.make(target, generation(world, target))
    must(world.alone(member, core.alloc.describe_runs, target, value), L.OK)


EARLY = Scenario("move.graft early", two_owned, graft_early)


def unclean(world: World) -> Any:
    """Member 0 let go of a half-moved object, which is not cleaned yet."""
    source, _ = moving_described(world)
    record = world.alone(world.members[0], world.core.hold.subtract, source, HAND)
    must(world.run(world.members[0], world.core.hold.put_holder, record), L.OK)
    return None


def cleaning(world: World) -> Any:
    unclean(world)
    return must(world.run(world.members[0], world.core.clean.begin))


def undescribe_it(world: World, obj: int) -> None:
    must(world.alone(world.members[0], world.core.clean.undescribe, obj), L.OK)


def dead_with_io(world: World) -> Any:
    """Member 3 died with I/O under way on an object that it lent, and while cleaning another."""
    d, b = world.members[3], world.members[1]
    own = small(world, d, 2)
    hold(world, d, own, L.BY_IO)
    lend(world, d, own)
    shared = small(world, b)
    hold(world, d, shared, L.BY_IO)
    moved = small(world, d)
    must(world.run(d, world.core.move.begin, moved, generation(world, moved)), L.OK)
    must(world.alone(d, world.core.move.describe, moved, shared), L.OK)
    record = world.alone(d, world.core.hold.subtract, moved, HAND)
    must(world.run(d, world.core.hold.put_holder, record), L.OK)
    must(world.run(d, world.core.clean.begin))
    d.alive = False
    must(world.run(world.members[0], world.core.reap.begin, d.slot), L.OK)
    return d.slot


SCENARIOS = (
    Scenario("move.begin", two_owned, begin_move),
    Scenario("move.describe", moving, describe_move),
    Scenario("move.graft", two_owned, splice_it),
    Scenario("move.cut inside a run", tail_and_runs, cut_at(1, 1)),
    Scenario("move.cut between runs", tail_and_runs, cut_at(3, 3)),
    Scenario("move.mark", published, mark_it),
    Scenario("move.exchange", marked_and_tainted, exchange_it),
    Scenario("move.exchange refused", marked_and_held, exchange_refused),
    Scenario("clean.begin", unclean, lambda world, _: world.clean(world.members[0])),
    Scenario("clean.undescribe", cleaning, undescribe_it),
    Scenario("clean.abort", cleaning, act("clean.abort")),
    Scenario("clean.finish", cleaning, lambda world, _: world.clean(world.members[0])),
    Scenario("reap.step with I/O", dead_with_io, reap_all),
)  # fmt: skip
