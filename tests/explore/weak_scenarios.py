"""Weak names: published, replaced, and removed with the last other reference to their object."""

from __future__ import annotations

from typing import Any

from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.arena import Violation
from tests.explore.crash import Scenario
from tests.explore.interpreted import Core
from tests.explore.world import World, new_world

WEAK = L.PUBLISH_WEAK
NAME = 5


def named(world: World) -> Any:
    """Member 0 holds an object with a weak name, and nobody else does."""
    obj = S.owned(world)
    S.publish(world, world.members[0], obj, NAME, WEAK)
    return obj


def named_in_runs(world: World) -> Any:
    obj = S.owned_in_runs(world)
    S.publish(world, world.members[0], obj, NAME, WEAK)
    return obj


def named_twice(world: World) -> Any:
    obj = named(world)
    S.publish(world, world.members[0], obj, NAME + 1)
    return obj


def another(world: World) -> Any:
    """The weak name's object is held by its own publisher; member 0 has another object."""
    obj = S.small(world, world.members[1], 2)
    S.publish(world, world.members[1], obj, NAME, WEAK)
    return S.small(world, world.members[0])


def in_transit(world: World) -> Any:
    """Only a loan, whose grace is over, keeps the object of a weak name."""
    obj, loan = S.lent_by_another(world)
    S.publish(world, world.members[1], obj, NAME, WEAK)
    S.let_go(world, world.members[1], obj)
    world.core.words.clock[0] += 2 * S.LOANS_KEPT_S * L.NS_PER_S
    return obj, loan


def overdue(world: World) -> Any:
    in_transit(world)
    return world.core.lend.oldest(world.arena, world.members[0].mine)


def reaping(world: World) -> Any:
    """Member 3 died, the only one that held an object with a weak name."""
    dead = world.members[3]
    obj = S.small(world, dead, 2)
    S.publish(world, dead, obj, NAME, WEAK)
    dead.alive = False
    S.must(world.run(world.members[0], world.core.reap.begin, dead.slot), L.OK)
    return dead.slot


def publish_weak(world: World, obj: int) -> None:
    S.publish(world, world.members[0], obj, NAME, WEAK)


def publish_again(world: World, obj: int) -> None:
    S.publish(world, world.members[0], obj, NAME, WEAK | L.PUBLISH_REPLACE)


def gone(world: World) -> None:
    """Check that nothing shows the name any more, for the next to use it."""
    S.name(world.members[0], NAME)
    found = world.run(world.members[0], world.core.publish.find)
    if found != L.NOT_FOUND:
        raise Violation(f"weak name: it still leads to {found}")


def drop(world: World, obj: int) -> None:
    S.drop(world, obj)
    gone(world)


def reap(world: World, slot: int) -> None:
    S.reap_all(world, slot)
    gone(world)


def second_weak_name(core: Core) -> None:
    """An object has at most one weak name: two would keep each other."""
    world = new_world(core)
    a = world.members[0]
    obj = S.small(world, a)
    S.publish(world, a, obj, NAME, WEAK)
    S.name(a, NAME + 1)
    publish = core.publish.publish
    status = world.run(a, publish, obj, S.generation(world, obj), WEAK)
    if status != L.IN_USE:
        raise Violation(f"weak name: a second one gave {status:#x}")
    world.check()


def replaced_names_mark_nothing(core: Core) -> None:
    """An object whose weak name now shows another is an object like any other."""
    world = new_world(core)
    a, b = world.members[:2]
    first, second = S.small(world, a), S.small(world, a)
    S.publish(world, a, first, NAME, WEAK)
    S.publish(world, a, second, NAME, WEAK | L.PUBLISH_REPLACE)
    S.publish(world, a, first, NAME + 1)
    S.hold(world, b, first)
    S.let_go(world, a, first)
    S.let_go(world, b, first)  # its ordinary name keeps it
    S.name(b, NAME + 1)
    if world.run(b, core.publish.find) != first:
        raise Violation("weak name: an object was lost with a name that it no longer has")
    world.check()


REFUSALS = (second_weak_name, replaced_names_mark_nothing)
SCENARIOS = (
    Scenario("publish.publish weak", S.owned, publish_weak),
    Scenario("publish.publish weak, replaced", named, S.publish_instead),
    Scenario("publish.publish weak, again", named, publish_again),
    Scenario("publish.publish weak, another's", another, publish_again),
    Scenario("publish.unpublish weak", named, S.unpublish),
    Scenario("hold.put_holder last, with a weak name", named, drop),
    Scenario("hold.put_holder last, with a weak name, in runs", named_in_runs, drop),
    Scenario("hold.put_holder last, with two names", named_twice, S.drop),
    Scenario("lend.cancel the last in transit, with a weak name", in_transit, S.cancel_it),
    Scenario(
        "lend.expire with a weak name",
        overdue,
        S.act("lend.expire", S.LOANS_KEPT_S, context=True),
    ),
    Scenario("reap.step with a weak name", reaping, reap),
)
