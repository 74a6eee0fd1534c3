"""Stop a member after each of its stores, let others work, continue it: as SIGSTOP and SIGCONT do.

The operations are those of the crash explorer. A stopped member is alive: its slot is locked, so
the lock is not taken from it, and nobody else may finish what it owns (an object ALLOCATING, a
section ONLINING), however long that takes. If it was stopped between two transactions, others
allocate, let go, reap and free meanwhile. The rules hold then, and at the end of its operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore.arena import Violation
from tests.explore.crash import Scenario
from tests.explore.interpreted import Core
from tests.explore.scenarios import free_all, let_go, small
from tests.explore.world import Member, World, new_world


@dataclass
class Tally:
    """What happened while members were stopped."""

    stops: int = 0
    inside: int = 0  # of these, with the lock held: others were refused
    worked: int = 0  # others allocated, let go, reaped
    owned: int = 0  # objects and sections of stopped members that others tried to finish


def owned_objects(world: World, member: Member) -> list[int]:
    """Return the objects that a member is allocating."""
    found = walk.objects_in(world.arena, member.mine, (L.OBJECT_STATE_ALLOCATING,))
    return [
        obj
        for obj, at in found
        if world.arena[at + L.OBJECT_STATE] >> L.OBJECT_OWNER_SHIFT & L.MASK_16 == member.slot
    ]


def refused(world: World, other: Member) -> None:
    """A living member has the lock: nobody else gets it."""
    before = world.arena.digest, world.arena[L.LOCK]
    try:
        world.enter(other)
    except Violation as error:
        if "alive and still holds it" not in str(error):
            raise
    else:
        raise Violation("stopped: the lock was had while a living member is inside")
    if (world.arena.digest, world.arena[L.LOCK]) != before:
        raise Violation("stopped: who was refused the lock stored something")


def leave_owned_alone(world: World, stopped: Member, other: Member, tally: Tally) -> None:
    """Others cannot finish what the stopped member owns; trying stores nothing."""
    alloc, online = world.core.alloc, world.core.online
    tries: list[tuple[Callable[..., Any], tuple[int, ...]]] = []
    for obj in owned_objects(world, stopped):
        tries += [(alloc.take_run, (obj,)), (alloc.describe, (obj,)), (alloc.finish, (obj,))]
    if world.arena[L.CHANGING] >> L.SHIFT_32 == stopped.slot:
        tries += [(online.finish, (L.MASK_16,)), (online.abort, ())]
    for transaction, args in tries:
        tally.owned += 1
        world.enter(other)
        before = world.arena.digest
        if transaction(world.arena, other.mine, *args) != L.NOT_OWNER:
            raise Violation(f"stopped: another finished {transaction.__name__} of a living member")
        if world.arena.digest != before:
            raise Violation(f"stopped: {transaction.__name__} of another's stored something")
        world.leave(other)


def work(world: World, other: Member) -> None:
    """Reap dead members, allocate, let go."""
    world.reap(other)
    zone = L.ZONES + L.ZONE_WORDS * L.ZONE_NORMAL
    if world.arena[zone + L.ZONE_FREE] > world.arena[zone + L.ZONE_RESERVED]:
        let_go(world, other, small(world, other))
    free_all(world, other)


def meanwhile(world: World, stopped: Member, tally: Tally) -> None:
    """What others do while a member is stopped."""
    tally.stops += 1
    others = [m for m in world.members[:4] if m.alive and m.slot != stopped.slot]
    other = others[-1]
    if world.arena[L.LOCK] & L.LOCK_SLOT_MASK == stopped.slot:
        tally.inside += 1
        refused(world, other)
        return
    if world.arena[L.LOCK] & L.LOCK_SLOT_MASK:
        return  # in this scenario, a member holds the lock and works afterwards
    tally.worked += 1
    leave_owned_alone(world, stopped, other, tally)
    owned = owned_objects(world, stopped)
    work(world, other)
    if owned_objects(world, stopped) != owned:
        raise Violation("stopped: what a living member was allocating is another's")


def stop_at(base: World, scenario: Scenario, context: Any, store: int, tally: Tally) -> None:
    """Run an operation; others work after one of its stores."""
    world = base.copy()
    arena = world.arena
    actor = world.members[scenario.actor]

    def watch(at: int, old: int, new: int) -> None:
        if arena.stores != store:
            return
        running, fresh, arena.watch = arena.actor, arena.fresh, None
        logged = set(arena.logged)
        # A child is being made: its stopped parent has locked its byte.
        unborn = [m for m in world.members[len(base.members) :] if not m.alive]
        for child in unborn:
            child.alive = True
        meanwhile(world, actor, tally)
        for child in unborn:
            child.alive = False
        arena.actor, arena.fresh, arena.logged = running, fresh, logged

    arena.watch = watch
    scenario.operate(world, context)
    world.check()


def explore(core: Core, scenario: Scenario, tally: Tally) -> None:
    """Stop the operation of one scenario after each of its stores."""
    base = new_world(core, members=4, sections=scenario.sections)
    context = scenario.prepare(base)
    base.arena.begin()
    if scenario.actor >= len(base.members):
        return  # it is joining: until then it is not a member
    whole = base.copy()
    scenario.operate(whole, context)
    for store in range(1, whole.arena.stores + 1):
        try:
            stop_at(base, scenario, context, store, tally)
        except Violation as error:
            raise Violation(f"{scenario.name}, stopped at store {store}: {error}") from error
