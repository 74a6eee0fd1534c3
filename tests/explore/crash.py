"""Crash a member after each of its stores; recover as the next member would; check what is left.

Each store of a scenario's operation is, in one run, the last store of its process. The next member
takes over. At each store of *its* work it dies too, and so does the one after it, as deep as
requested. A survivor reaps the dead. Then I1 to I7 must hold, and the arena must look as if the
operation had not begun, had stopped between two of its transactions, or was done. These correct
views are found by killing the member at rest.

Of crashes that leave the same words, only one is explored further: the arena's digest identifies
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scamem.core.store import layout as L
from tests.explore.arena import Crash, Violation
from tests.explore.interpreted import Core
from tests.explore.view import View, view
from tests.explore.world import Member, World, new_world

Edge = tuple[str, int, int]


@dataclass(frozen=True)
class Scenario:
    """One operation of one member, and the state before it."""

    name: str
    prepare: Callable[[World], Any]
    operate: Callable[[World, Any], None]
    actor: int = 0  # the member that operates
    sections: int = 2


@dataclass
class Report:
    """What the explorer did."""

    operations: int = 0
    crash_points: int = 0
    nested: int = 0
    edges: set[Edge] = field(default_factory=set)
    measured: dict[str, int] = field(default_factory=dict)

    def note(self, measured: dict[str, int]) -> None:
        """Keep the largest number of stores of each transaction."""
        for name, stores in measured.items():
            self.measured[name] = max(stores, self.measured.get(name, 0))


class Explorer:
    """Explores one scenario with one core."""

    def __init__(
        self, core: Core, scenario: Scenario, report: Report, nested: int, stride: int = 1
    ) -> None:
        self.scenario = scenario
        self.report = report
        self.nested = nested  # how many recovering members die as well
        self.stride = stride  # die at every store, or at every n-th, starting elsewhere each time
        self.base = new_world(core, members=4, sections=scenario.sections)
        self.context = scenario.prepare(self.base)
        self.base.check()
        self.base.arena.begin()
        self.seen: set[Any] = set()
        self.right: dict[tuple[int, ...], set[View]] = {}
        self.rests: list[int] = []
        self.trace: list[str] = []

    def actor(self, world: World) -> Member | None:
        """Return the member that operates; None if it has not begun to join."""
        actor = self.scenario.actor
        return world.members[actor] if actor < len(world.members) else None

    def kill_actor(self, world: World) -> World:
        """Kill the member that operates."""
        actor = self.actor(world)
        if actor is not None:
            actor.alive = False
        return world

    def watch_edges(self, world: World) -> None:
        """Record each state change that a transaction stores."""
        mine = world.members[0].mine
        objects = world.geometry.regions()["objects_max"]
        sections = world.geometry.regions()["sections"]
        arena = world.arena

        def watch(at: int, old: int, new: int) -> None:
            if at != arena.fresh or old == new:
                return
            arena.fresh = -1
            edge: Edge | None = None
            if objects.start <= at < objects.start + objects.words:
                if (at - objects.start) % L.OBJECT_WORDS == L.OBJECT_STATE:
                    mask = L.OBJECT_STATE_MASK
                    edge = "objects", old & mask, new & mask
            elif sections.start <= at < sections.start + mine[L.MINE_SECTIONS]:
                edge = "sections", old & L.MASK_8, new & L.MASK_8
            elif L.SLOTS <= at < L.SLOTS + L.SLOT_WORDS * mine[L.MINE_SLOTS_MAX]:
                if (at - L.SLOTS) % L.SLOT_WORDS == L.SLOT_STATE:
                    edge = "members", old & L.MASK_8, new & L.MASK_8
            if edge is not None and edge[1] != edge[2]:
                self.report.edges.add(edge)

        arena.watch = watch

    def explore(self) -> None:
        """Crash the operation after each store."""
        world = self.base.copy()
        world.strict = True
        self.watch_edges(world)
        self.scenario.operate(world, self.context)
        world.check()
        stores = world.arena.stores
        if stores == 0:
            raise Violation(f"scenario: {self.scenario.name} stores nothing")
        self.report.note(world.measured)
        self.report.operations += 1
        rest = world.arena.at_rest
        for store in range(1, stores + 1):
            self.report.crash_points += 1
            crashed = self.die(self.base, store)
            crashed.allowed = {self.base.arena.logged_digest, *rest}
            self.trace = [f"store {store} of {stores}"]
            self.recover(crashed, self.nested)

    def die(self, before: World, store: int) -> World:
        """Run the operation until a store, which is its last."""
        world = before.copy()
        world.arena.countdown = store
        try:
            self.scenario.operate(world, self.context)
        except Crash:
            world.arena.countdown = 0
            return self.kill_actor(world)
        raise Violation(f"scenario: {self.scenario.name} is not the same twice")

    def next_member(self, world: World) -> Member:
        """Return the member that recovers: the first living one that did not operate."""
        for member in self.recoverers(world):
            return member
        raise Violation("scenario: everybody is dead")

    def recoverers(self, world: World) -> list[Member]:
        """Return the members that can recover."""
        return [m for m in world.members[1:] if m.alive and m is not self.actor(world)]

    def recover(self, crashed: World, deaths: int) -> None:
        """Let the next member recover; while deaths are left, kill it at each of its stores."""
        state = (crashed.arena.key(), crashed.dead(), deaths)
        if state in self.seen:
            return
        self.seen.add(state)
        world = crashed.copy()
        fresh: list[int] = []
        dead = (*world.dead(), self.next_member(world).slot)
        self.watch_edges(world)
        inner = world.arena.watch
        arena = world.arena

        def watch(at: int, old: int, new: int) -> None:
            if inner is not None:
                inner(at, old, new)
            if deaths and (arena.key(), tuple(sorted(dead)), deaths - 1) not in self.seen:
                fresh.append(arena.stores)

        arena.watch = watch
        self.finish(world)
        self.report.note(world.measured)
        self.judge(world)
        if len(self.recoverers(crashed)) < 2:
            return  # no member would be left to recover from one more death
        for store in fresh[self.report.crash_points % self.stride :: self.stride]:
            self.report.nested += 1
            again = crashed.copy()
            again.arena.countdown = store
            try:
                self.finish(again)
            except Crash:
                again.arena.countdown = 0
                self.next_member(again).alive = False
                again.allowed = {*(crashed.allowed or ()), *again.arena.at_rest}
                self.trace.append(f"store {store} of the recovery")
                self.recover(again, deaths - 1)
                self.trace.pop()

    def finish(self, world: World) -> None:
        """Take over, leave, reap."""
        member = self.next_member(world)
        world.enter(member)
        world.leave(member)
        world.reap(member)

    def judge(self, world: World) -> None:
        """Check the rules, and that the arena looks as after a death at rest."""
        world.check(world.dead())
        world.nothing_left()
        if view(world) not in self.looks(world):
            raise Violation("atomicity: the operation neither happened nor did not")

    def looks(self, world: World) -> set[View]:
        """Return the correct views, given the members that are dead by now."""
        dead = world.dead()
        if dead not in self.right:
            self.right[dead] = set()
            rest = self.die_at_rest()
            for other in rest:
                for member in other.members:
                    member.alive = member.alive and member.slot not in dead
                self.finish(other)
                self.right[dead].add(view(other))
        return self.right[dead]

    def die_at_rest(self) -> list[World]:
        """Return worlds in which the member died before the operation began, or at a commit."""
        commits: list[int] = []
        world = self.base.copy()

        def watch(at: int, old: int, new: int) -> None:
            if at == L.JOURNAL_LENGTH and new == 0 and old != 0:
                commits.append(world.arena.stores)

        world.arena.watch = watch
        self.scenario.operate(world, self.context)
        self.kill_actor(world)
        unbegun = self.kill_actor(self.base.copy())
        return [unbegun, world, *(self.die(self.base, store) for store in commits)]
