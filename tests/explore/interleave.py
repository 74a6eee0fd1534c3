"""Every order of operations of two or three members on a tiny arena, with deaths, to a depth.

A move is one operation of one member, or its death: at rest, or at one of the operation's stores.
After each move I1 to I7 are asked, and the reference model, which did the same, must agree: which
frames are free, who holds what how often, names, loans. A member that died in an operation has done
all of it or nothing, or left what a reap finishes; whoever moves next takes the lock over.

Depth first, one depth after the other, so that the first failure has a shortest trace. A state met
before with as many moves left is not gone on from. `python -m tests.explore.interleave "TRACE"`
runs one trace again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.arena import Crash, Violation
from tests.explore.facts import Facts, differences, facts
from tests.explore.interpreted import Core
from tests.explore.world import CREATED_NS, Member, World, new_world
from tests.model.reference import HAND, MAPPING, Disagreement, Key, Reference

BY = {HAND: L.BY_HAND, MAPPING: L.BY_MAPPING}
NAME = 1
KNOWN_MAX = 100_000  # arenas whose facts are kept
CHILDREN_MAX = 3  # members that may be alive at once
Move = Callable[["Pair", Member], None]


@dataclass
class Pair:
    """An arena and its model, which have come the same way."""

    world: World
    model: Reference
    clock_ns: int
    deaths: int

    def copy(self) -> Pair:
        return Pair(self.world.copy(), self.model.copy(), self.clock_ns, self.deaths)

    @property
    def now_s(self) -> int:
        return (self.clock_ns - CREATED_NS) // L.NS_PER_S + 1

    def key(self) -> tuple[Any, ...]:
        members = tuple((m.slot, m.alive, hash(m.mine.tobytes())) for m in self.world.members)
        return self.world.arena.key(), members, self.clock_ns, self.deaths

    def living(self) -> list[Member]:
        return [member for member in self.world.members if member.alive]


def in_use(world: World, member: Member) -> bool:
    """Tell whether a slot is anybody's; of a child that did not come to be, it is not."""
    at = L.SLOTS + L.SLOT_WORDS * member.slot + L.SLOT_STATE
    return bool(world.arena[at] & L.MASK_8)


# --- operations: the arena's and the model's, side by side


def key_of(world: World, obj: int) -> Key:
    return obj, S.generation(world, obj)


def allocate(frames: int) -> Move:
    def move(pair: Pair, member: Member) -> None:
        world = pair.world
        possible = pair.model.can_allocate(frames)
        status = world.run(member, world.core.alloc.small, 0, frames, L.BY_HAND)
        if status == L.NO_RUN:
            status = world.run(member, world.core.alloc.reserve, 0, frames, L.BY_HAND)
            if status < L.STATUS:
                S.take_runs(world, member, status)
                S.must(world.alone(member, world.core.alloc.describe, status), L.OK)
                S.must(world.run(member, world.core.alloc.finish, status), L.OK)
        if (status < L.STATUS) != possible:
            raise Violation(f"model: allocation gave {status:#x}, possible: {possible}")
        if possible:
            key = key_of(world, status)
            pair.model.allocate(member.slot, key, facts(world).objects[key].frames)

    return move


def hold_again(key: Key) -> Move:
    def move(pair: Pair, member: Member) -> None:
        S.must(pair.world.alone(member, pair.world.core.hold.add, key[0], L.BY_MAPPING), L.OK)
        pair.model.hold(member.slot, key, MAPPING)

    return move


def let_go(key: Key, kind: str) -> Move:
    def move(pair: Pair, member: Member) -> None:
        S.let_go(pair.world, member, key[0], BY[kind])
        pair.model.let_go(member.slot, key, kind, pair.now_s)

    return move


def publish(key: Key) -> Move:
    def move(pair: Pair, member: Member) -> None:
        S.publish(pair.world, member, key[0], NAME, 1)
        S.free_all(pair.world, member)
        pair.model.publish(NAME, key)

    return move


def get_name(pair: Pair, member: Member) -> None:
    """Find the object and hold it, in one critical section."""
    world = pair.world
    S.name(member, NAME)
    world.enter(member)
    obj = S.must(world.inside(member, world.core.publish.find))
    key = key_of(world, obj)
    S.must(world.inside(member, world.core.hold.first, *key, L.BY_HAND), L.OK)
    world.leave(member)
    if pair.model.names.get(NAME) != key:
        raise Violation(f"model: the name led to {key}, not to {pair.model.names.get(NAME)}")
    pair.model.hold(member.slot, key, HAND)


def unpublish(pair: Pair, member: Member) -> None:
    S.name(member, NAME)
    S.must(pair.world.run(member, pair.world.core.publish.unpublish), L.OK)
    S.free_all(pair.world, member)
    pair.model.unpublish(NAME)


def lend(key: Key) -> Move:
    def move(pair: Pair, member: Member) -> None:
        _, number = S.lend(pair.world, member, key[0])
        pair.model.lend(member.slot, key, number)

    return move


def load(key: Key, number: int) -> Move:
    def move(pair: Pair, member: Member) -> None:
        world = pair.world
        place = walk.place(member.mine, L.TABLE_LOANS, 0)
        loan = next(
            (k for k in range(walk.table_end(world.arena, member.mine, L.TABLE_LOANS))
             if world.arena[place + k * L.LOAN_WORDS + L.LOAN_ID] == number), 1,
        )  # fmt: skip
        status = world.run(member, world.core.lend.load, *key, loan, number, L.BY_HAND)
        if (status == L.OK) != pair.model.load(member.slot, key, number):
            raise Violation(f"model: a load gave {status:#x}")

    return move


def fork(pair: Pair, member: Member) -> None:
    world = pair.world
    slot = S.must(world.core.join.find_free(world.arena, member.mine, 0))
    child = Member(member.mine[:], slot)
    world.members.append(child)
    child.alive = False  # until it is there, it dies with its parent
    S.must(world.run(member, world.core.fork.begin, slot), L.OK)
    record = world.core.fork.oldest(world.arena, member.mine)
    while record:
        record = S.must(world.run(member, world.core.fork.copy, slot, record))
    child.mine = member.mine[:]
    child.alive = True
    world.core.fork.become(world.arena, child.mine, slot)
    S.must(world.run(child, world.core.fork.arrive, slot), L.OK)
    pair.model.fork(member.slot, slot)


def join(pair: Pair, member: Member) -> None:
    pair.model.join(pair.world.join().slot)


def reap(pair: Pair, member: Member) -> None:
    dead = pair.world.dead()
    pair.world.reap(member)
    pair.world.members = pair.living()
    pair.world.check(dead)
    pair.model.reap(pair.now_s)


def expire(pair: Pair, member: Member) -> None:
    """A minute goes by, and memory is wanted."""
    pair.clock_ns += 60 * L.NS_PER_S
    world = pair.world
    world.core.words.clock[0] = pair.clock_ns
    record = world.core.lend.oldest(world.arena, member.mine)
    while record:
        record = S.must(world.run(member, world.core.lend.expire, record, 60))
    S.free_all(world, member)
    pair.model.expire(pair.now_s)


def online(pair: Pair, member: Member) -> None:
    world = pair.world
    size = world.geometry.section_frames
    first = len(pair.model.frames)
    status = world.run(member, world.core.online.begin, first // size)
    if status == L.ONLINE_BUSY and world.dead():
        return  # the owner is dead, and not yet reaped: nobody else finishes it
    S.must(status)
    S.must(world.run(member, world.core.online.finish), L.OK)
    pair.model.online(range(first, first + size))


def moves_of(pair: Pair, member: Member) -> Iterator[tuple[str, Move]]:
    """Return what one member may do now."""
    model, slot = pair.model, member.slot
    yield "alloc1", allocate(1)
    yield "alloc3", allocate(3)
    for key in sorted(k for k, obj in model.objects.items() if obj.live):
        held = model.objects[key].held.get(slot, {})
        if held and held.get(MAPPING, 0) < 1:
            yield f"map{key[0]}", hold_again(key)
        for kind in (HAND, MAPPING):
            if held.get(kind, 0):
                yield f"drop{key[0]}{kind}", let_go(key, kind)
        if held and model.names.get(NAME) != key:
            yield f"publish{key[0]}", publish(key)
        if held and len(model.used_loans) < 2:
            yield f"lend{key[0]}", lend(key)
    if NAME in model.names:
        yield "get", get_name
        yield "unpublish", unpublish
    for number, (key, _) in sorted(model.loans.items()):
        yield f"load{number}", load(key, number)
    if len(pair.living()) < CHILDREN_MAX:
        yield "fork", fork
    if model.in_transit_any():
        yield "expire", expire
    if len(model.frames) < pair.world.geometry.frames:
        yield "online", online


@dataclass
class Exploration:
    """Goes all ways to a depth."""

    core: Core
    members: int = 2
    deaths: int = 2
    all_stores: bool = False
    states: int = 0
    transitions: int = 0
    crashes: int = 0
    seen: dict[Any, int] = field(default_factory=dict)
    known: dict[int, Facts] = field(default_factory=dict)

    def first(self) -> Pair:
        world = new_world(self.core, members=self.members, sections=1)
        size = world.geometry.section_frames
        slots = frozenset(member.slot for member in world.members)
        return Pair(world, Reference(frozenset(range(size)), slots), CREATED_NS, self.deaths)

    def explore(self, depth: int, states_max: int) -> int:
        """Explore one depth after the other; return the last that was explored whole."""
        for now in range(1, depth + 1):
            self.seen.clear()
            if not self.go(self.first(), now, (), states_max):
                return now - 1
        return depth

    def go(self, first: Pair, depth: int, trace: tuple[str, ...], states_max: int) -> bool:
        todo = [(first, depth, trace)]
        while todo:
            pair, left, trace = todo.pop()
            key = pair.key()
            if self.seen.get(key, 0) >= left:
                continue
            if key not in self.seen:
                self.states += 1
            self.seen[key] = left
            if len(self.seen) > states_max:
                return False
            for label, after in self.after(pair, trace):
                self.transitions += 1
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
                command = f'python -m tests.explore.interleave "{way}"'
                raise Violation(f"{error}\ntrace: {way}\nagain: {command}") from error

    def moves(self, pair: Pair) -> Iterator[tuple[str, int, Move]]:
        for member in pair.living():
            for name, move in moves_of(pair, member):
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
        starts = [pair.model, done.model]
        if move is reap:
            starts.insert(1, self.half_reaped(pair, after))
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
                if key not in found.objects or member not in found.objects[key].held:
                    model.drop(member, key, pair.now_s)
        return model

    def half_allocated(self, model: Reference, found: Facts, slot: int) -> None:
        for key, obj in found.objects.items():
            if key not in model.objects and not obj.live and obj.held.keys() == {slot}:
                if found.wanted[key] <= len(model.free()):
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


def replay(core: Core, trace: str) -> None:
    """Run one trace again, move by move; says what is wrong where it is."""
    exploration = Exploration(core)
    pair = exploration.first()
    for label in trace.split("; "):
        ways = dict(exploration.after(pair, ()))
        if label not in ways:
            exploration.all_stores = True
            ways = dict(exploration.after(pair, ()))
        pair = ways[label]


if __name__ == "__main__":
    replay(Core(), sys.argv[1])
