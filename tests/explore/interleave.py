"""Every order of operations of two or three members on a tiny arena, with deaths, to a depth.

A move is one operation of one member, or its death: at rest, or at one of the operation's stores.
After each move I1 to I7 are asked, and the reference model, which did the same, must agree: which
frames are free, who holds what how often, names, loans. A member that died in an operation has done
all of it or nothing, or left what a reap finishes; whoever moves next takes the lock over.

Depth first, one depth after the other, so that the first failure has a shortest trace. A state met
before with as many moves left is not gone on from. A failure says how to run its trace again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.explore import operations
from tests.explore.arena import Crash, Violation
from tests.explore.facts import Facts, differences, facts
from tests.explore.interpreted import Core
from tests.explore.operations import (
    Move,
    Pair,
    all_moves_of,
    expire,
    in_use,
    moves_of,
    reap,
)
from tests.explore.world import CREATED_NS, Member, World, new_world
from tests.model.reference import IO, Disagreement, Reference

KNOWN_MAX = 100_000  # arenas whose facts are kept


@dataclass
class Exploration:
    """Goes all ways to a depth."""

    core: Core
    members: int = 2
    deaths: int = 2
    all_stores: bool = False
    moves_of: Callable[[Pair, Member], Iterator[tuple[str, Move]]] = moves_of
    transitions: int = 0
    crashes: int = 0
    reached: set[int] = field(default_factory=set)  # digests of the states judged
    seen: dict[Any, int] = field(default_factory=dict)  # those gone on from; with how many moves
    known: dict[int, Facts] = field(default_factory=dict)

    def first(self) -> Pair:
        world = new_world(self.core, members=self.members, sections=1)
        size = world.geometry.section_frames
        slots = frozenset(member.slot for member in world.members)
        return Pair(world, Reference(frozenset(range(size)), slots), CREATED_NS, self.deaths)

    def explore(self, depth: int, states_max: int, say: Callable[[str], None] | None = None) -> int:
        """Explore one depth after the other; return the last that was explored whole."""
        for now in range(1, depth + 1):
            self.seen.clear()
            whole = self.go(self.first(), now, (), states_max)
            if say is not None:
                say(self.figures(now, whole))
            if not whole:
                return now - 1
        return depth

    def figures(self, depth: int, whole: bool) -> str:
        """Say what was done so far."""
        return (
            f"{self.members} members, {self.deaths} deaths: "
            f"{'to' if whole else 'not all of'} depth {depth}: {len(self.reached):,} states, "
            f"{self.transitions:,} transitions, {self.crashes:,} of them deaths inside an operation"
        )

    def go(self, first: Pair, depth: int, trace: tuple[str, ...], states_max: int) -> bool:
        todo = [(first, depth, trace)]
        while todo:
            pair, left, trace = todo.pop()
            key = pair.key()
            if self.seen.get(key, 0) >= left:
                continue
            self.seen[key] = left
            if len(self.reached) > states_max:
                return False
            for label, after in self.after(pair, trace):
                self.transitions += 1
                self.reached.add(hash(after.key()))
                if left > 1:
                    todo.append((after, left - 1, (*trace, label)))
        return True

    def after(self, pair: Pair, trace: tuple[str, ...]) -> Iterator[tuple[str, Pair]]:
        """Yield each move from here, judged."""
        for label, slot, move in self.moves(pair):
            try:
                yield from self.one(pair, label, slot, move)
            except (Violation, Disagreement) as error:
                way = "; ".join((*trace, label))
                command = f'python -m tests.explore.interleave "{way}" {self.members}'
                raise Violation(f"{error}\ntrace: {way}\nagain: {command}") from error

    def moves(self, pair: Pair) -> Iterator[tuple[str, int, Move]]:
        for member in pair.living():
            for name, move in self.moves_of(pair, member):
                yield f"{member.slot} {name}", member.slot, move
        if pair.world.dead() and pair.living():
            slot = pair.living()[-1].slot
            yield f"{slot} reap", slot, reap

    def one(self, pair: Pair, label: str, slot: int, move: Move) -> Iterator[tuple[str, Pair]]:
        """Yield a move done, and the deaths within it."""
        done = self.done(pair, slot, move)
        yield label, done
        if pair.deaths and len(pair.living()) > 1:
            rest = pair.copy()
            self.member(rest, slot).alive = False
            rest.deaths -= 1
            rest.model.die(slot)
            yield f"{slot} dies", rest
            for store in self.stores(pair, done):
                self.crashes += 1
                yield f"{label} dies@{store}", self.dies(pair, done, slot, move, store)

    def member(self, pair: Pair, slot: int) -> Member:
        return next(m for m in pair.world.members if m.slot == slot and m.alive)

    def done(self, pair: Pair, slot: int, move: Move) -> Pair:
        after = pair.copy()
        self.core.words.clock[0] = after.clock_ns
        move(after, self.member(after, slot))
        self.judge(after)
        return after

    def judge(self, pair: Pair) -> None:
        wrong = differences(pair.model, self.checked_facts(pair.world), pair.model.dead)
        if wrong:
            raise Violation("model: " + "; ".join(wrong))

    def checked_facts(self, world: World) -> Facts:
        """Ask I1 to I7 and read the arena; once for the same words."""
        digest = world.arena.digest
        if digest not in self.known:
            world.check()
            if len(self.known) > KNOWN_MAX:
                self.known.clear()
            self.known[digest] = facts(world)
        return self.known[digest]

    def stores(self, pair: Pair, done: Pair) -> list[int]:
        """Return at which stores to die: all, or the first, the last, one in between."""
        last = done.world.arena.stores
        if self.all_stores:
            return list(range(1, last + 1))
        return sorted({1, last, 1 + self.crashes * 7 % max(last, 1), last - 1} - {0, -1})

    def dies(self, pair: Pair, done: Pair, slot: int, move: Move, store: int) -> Pair:
        """Return the pair after a death within a move, and the next member's taking over."""
        after = pair.copy()
        before = {member.slot for member in after.world.members}
        self.core.words.clock[0] = after.clock_ns
        after.world.arena.countdown = store
        try:
            move(after, self.member(after, slot))
            raise Violation("explorer: the move is not the same twice")
        except Crash:
            after.world.arena.countdown = 0
        for member in after.world.members:
            if member.slot == slot or member.slot not in before:
                member.alive = False
        after.deaths -= 1
        self.core.words.clock[0] = after.clock_ns = done.clock_ns
        successor = after.living()[0]
        after.world.enter(successor)
        after.world.leave(successor)
        after.world.members = [m for m in after.world.members if m.alive or in_use(after.world, m)]
        starts = [pair.model, *done.between, done.model]
        if move is reap:
            starts.insert(1, self.half_reaped(pair, after))
        if move is expire:
            starts.insert(1, self.half_expired(pair, after))
        after.model = self.outcome(starts, after, slot, before)
        return after

    def outcome(
        self, starts: list[Reference], after: Pair, slot: int, before: set[int]
    ) -> Reference:
        """Return the model's state that the arena shows: before, after, or half allocated."""
        found = self.checked_facts(after.world)
        wrong: list[str] = []
        for start in starts:
            model = start.copy()
            for other in {m.slot for m in after.world.members} - before:
                self.half_forked(model, found, slot, other)
            self.half_allocated(model, found, slot)
            self.half_counted(model, found, slot)
            model.die(slot)
            wrong = differences(model, found, model.dead)
            if not wrong:
                # Slots that the one who died had reaped are free: of them nothing is left.
                gone = model.dead - {m.slot for m in after.world.members}
                model.members -= gone
                model.dead -= gone
                return model
        raise Violation("model: neither before nor after: " + "; ".join(wrong))

    def half_reaped(self, pair: Pair, after: Pair) -> Reference:
        """Some of what the dead held is gone: record by record, whoever reaps next goes on."""
        model, found = pair.model.copy(), self.checked_facts(after.world)
        for member in model.dead:
            for key in [k for k, obj in model.objects.items() if member in obj.held]:
                seen = found.objects.get(key)
                if seen is None or member not in seen.held:
                    model.drop_dead(member, key, pair.now_s)
                elif model.objects[key].held[member].get(IO, 0):
                    # First the mark; then the counts, which no roll-back brings back.
                    counted = seen.held[member].get(IO, 0)
                    obj = model.objects[key]
                    obj.tainted = obj.tainted or seen.tainted or counted == 0
                    obj.held[member][IO] = counted
        return model

    def half_expired(self, pair: Pair, after: Pair) -> Reference:
        """Some of the loans that are due are gone: each ends by itself."""
        model, found = pair.model.copy(), self.checked_facts(after.world)
        model.expire(after.now_s, frozenset(model.loans.keys() - found.loans.keys()))
        return model

    def half_counted(self, model: Reference, found: Facts, slot: int) -> None:
        """Who dies letting go may have taken its I/O off the count, and hold the object still."""
        for key, obj in model.objects.items():
            if slot in obj.held and key in found.objects:
                seen = found.objects[key].held.get(slot, {}).get(IO, 0)
                obj.held[slot][IO] = min(seen, obj.held[slot].get(IO, 0))

    def half_allocated(self, model: Reference, found: Facts, slot: int) -> None:
        for key, obj in found.objects.items():
            if key not in model.objects and not obj.live and obj.held.keys() == {slot}:
                free = model.free()
                if found.wanted[key] <= len(free) and free.issuperset(obj.frames):
                    model.allocate(slot, key, obj.frames, live=False)

    def half_forked(self, model: Reference, found: Facts, slot: int, child: int) -> None:
        """The child's records are some of its parent's; it dies with it."""
        model.members |= {child}
        model.dead |= {child}
        for key, obj in model.objects.items():
            seen = found.objects.get(key)
            obj.held.pop(child, None)
            if seen and child in seen.held and slot in obj.held:
                obj.held[child] = dict(obj.held[slot])


def replay(core: Core, trace: str, members: int = 2) -> None:
    """Run one trace again, move by move; says what is wrong where it is."""
    exploration = Exploration(core, members, moves_of=all_moves_of)
    pair = exploration.first()
    for label in trace.split("; "):
        ways = dict(exploration.after(pair, ()))
        if label not in ways:
            exploration.all_stores = True
            ways = dict(exploration.after(pair, ()))
        pair = ways[label]


def main(arguments: list[str]) -> None:
    """Run `TRACE [MEMBERS]` again, or explore `MEMBERS DEATHS DEPTH STATES [MOVES]`."""
    if not arguments[0].isdecimal():
        replay(Core(), arguments[0], *map(int, arguments[1:]))
        return
    members, deaths, depth, states = map(int, arguments[:4])
    moves = getattr(operations, arguments[4]) if arguments[4:] else operations.all_moves_of
    Exploration(Core(), members, deaths, moves_of=moves).explore(depth, states, print)


if __name__ == "__main__":
    main(sys.argv[1:])
