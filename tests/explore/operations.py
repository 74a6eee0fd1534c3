"""Operations of members, each done in an arena and in its reference model side by side.

A move of the interleaving explorer is one of these. An operation of several transactions records in
`Pair.between` the model's states between them: a death there leaves one of these states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.arena import Violation
from tests.explore.facts import Facts
from tests.explore.loan_scenarios import reclaim_all
from tests.explore.world import CREATED_NS, Member, World
from tests.model.reference import GRACE_S, HAND, IO, MAPPING, Key, Reference

BY = {HAND: L.BY_HAND, MAPPING: L.BY_MAPPING, IO: L.BY_IO}
NAME = 1
Move = Callable[["Pair", Member], None]


@dataclass
class Pair:
    """An arena and its model, after the same moves."""

    world: World
    model: Reference
    clock_ns: int
    deaths: int
    between: list[Reference] = field(default_factory=list)  # of the last move's transactions
    half: Callable[[Reference, Facts], Reference] | None = None  # or the arena shows how far it got
    seen: Any = None  # what interleave.py knows about the arena's words

    def copy(self) -> Pair:
        return Pair(self.world.copy(), self.model.copy(), self.clock_ns, self.deaths)

    @property
    def now_s(self) -> int:
        return (self.clock_ns - CREATED_NS) // L.NS_PER_S + 1

    def living(self) -> list[Member]:
        return [member for member in self.world.members if member.alive]


def in_use(world: World, member: Member) -> bool:
    """Tell whether a slot is in use; the slot of a child that was never forked is not."""
    at = L.SLOTS + L.SLOT_WORDS * member.slot + L.SLOT_STATE
    return bool(world.arena[at] & L.MASK_8)


# --- operations: the arena's and the model's, side by side


def key_of(world: World, obj: int) -> Key:
    return obj, S.generation(world, obj)


def frames_of(world: World, obj: int) -> list[int]:
    """Return an object's frames, in its order."""
    mine = world.members[0].mine
    runs = walk.runs_of(world.arena, mine, walk.place(mine, L.TABLE_OBJECTS, obj))[0]
    return [pfn for start, count in runs for pfn in range(start, start + count)]


def try_allocate(world: World, member: Member, frames: int) -> int:
    """Allocate as a member does, small requests first; return the object or why not."""
    status = int(world.run(member, world.core.alloc.small, 0, frames, L.BY_HAND))
    if status == L.NO_RUN:
        status = int(world.run(member, world.core.alloc.reserve, 0, frames, L.BY_HAND))
        if status < L.STATUS:
            S.take_runs(world, member, status)
            S.must(world.alone(member, world.core.alloc.describe, status), L.OK)
            S.must(world.run(member, world.core.alloc.finish, status), L.OK)
    return status


def allocated(pair: Pair, member: Member, frames: int) -> Key | None:
    """Allocate in both; None: there are not enough frames."""
    world = pair.world
    possible = pair.model.can_allocate(frames)
    status = try_allocate(world, member, frames)
    if status >= L.STATUS and possible:  # a dead member left frames to clean or free
        world.clean(member)
        S.free_all(world, member)
        status = try_allocate(world, member, frames)
        if status >= L.STATUS and world.arena[L.CLEANING] != 0:
            return None  # its owner is dead but not reaped: nobody else finishes it
    if (status < L.STATUS) != possible:
        raise Violation(f"model: allocation gave {status:#x}, possible: {possible}")
    if not possible:
        return None
    key = key_of(world, status)
    pair.model.allocate(member.slot, key, frames_of(world, status))
    return key


def allocate(frames: int) -> Move:
    def move(pair: Pair, member: Member) -> None:
        allocated(pair, member, frames)

    return move


def hold_again(key: Key, kind: str) -> Move:
    def move(pair: Pair, member: Member) -> None:
        S.must(pair.world.alone(member, pair.world.core.hold.add, key[0], BY[kind]), L.OK)
        pair.model.hold(member.slot, key, kind)

    return move


def spliced(pair: Pair, member: Member, source: Key, target: Key) -> None:
    """Append one object's frames to another, as Member.splice does."""
    world, move = pair.world, pair.world.core.move
    S.must(world.run(member, move.begin, *source), L.OK)
    pair.model.begin_move(member.slot, source)
    pair.between.append(pair.model.copy())
    S.must(world.alone(member, move.describe, source[0], target[0]), L.OK)
    S.must(world.run(member, move.graft, source[0], target[0], 0), L.OK)
    pair.model.graft(source, target)


def splice(source: Key, target: Key) -> Move:
    return lambda pair, member: spliced(pair, member, source, target)


def grow(key: Key) -> Move:
    def move(pair: Pair, member: Member) -> None:
        more = allocated(pair, member, 1)
        if more is not None:
            pair.between.append(pair.model.copy())
            spliced(pair, member, more, key)

    return move


def shrink(key: Key, left: int) -> Move:
    """Cut off an object's tail, and let go of the tail."""

    def move(pair: Pair, member: Member) -> None:
        world, model = pair.world, pair.model
        tail = key_of(world, S.reserve(world, member, 0))
        model.allocate(member.slot, tail, (), live=False)
        pair.between.append(model.copy())
        at = walk.place(member.mine, L.TABLE_OBJECTS, key[0])
        seen = walk.high(world.arena[at + L.OBJECT_STATE])
        run, frames = walk.low(world.arena[at + L.OBJECT_RUNS]), left
        while True:
            place = walk.place(member.mine, L.TABLE_RUNS, run)
            if walk.high(world.arena[place + L.RUN_FRAMES]) >= frames:
                break
            frames -= walk.high(world.arena[place + L.RUN_FRAMES])
            run = walk.low(world.arena[place + L.RUN_LINK])
        cut = world.core.move.cut
        S.must(world.run(member, cut, key[0], tail[0], run, frames, left, seen), L.OK)
        model.cut(member.slot, key, tail, left)
        pair.between.append(model.copy())
        S.let_go(world, member, tail[0])
        model.let_go(member.slot, tail, HAND, pair.now_s)

    return move


def let_go(key: Key, kind: str) -> Move:
    def move(pair: Pair, member: Member) -> None:
        S.let_go(pair.world, member, key[0], BY[kind])
        pair.model.let_go(member.slot, key, kind, pair.now_s)

    return move


def publish(key: Key, *, weak: bool = False) -> Move:
    how = L.PUBLISH_REPLACE | (L.PUBLISH_WEAK if weak else 0)

    def move(pair: Pair, member: Member) -> None:
        S.publish(pair.world, member, key[0], NAME, how)
        S.free_all(pair.world, member)
        pair.model.publish(NAME, key, weak)

    return move


def get_name(pair: Pair, member: Member) -> None:
    """Find the object of a name and hold it, in one critical section."""
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
        pair.model.lend(member.slot, key, number, pair.now_s)

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
    child.alive = False  # until it exists, it dies with its parent
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


def leave(pair: Pair, member: Member) -> None:
    """Close the arena: without holds, the member frees its slot; with holds, it stays."""
    world = pair.world
    status = world.run(member, world.core.leave.leave)
    if (status == L.OK) != pair.model.is_idle(member.slot):
        raise Violation(f"model: leaving gave {status:#x}")
    if status == L.OK:
        world.members.remove(member)
        pair.model.leave(member.slot)


def reap(slot: int) -> Move:
    """Reap one dead member."""

    def half(model: Reference, found: Facts) -> Reference:
        """Some of its records are dropped, one by one; the next reaper continues."""
        for key in [k for k, obj in model.objects.items() if slot in obj.held]:
            seen = found.objects.get(key)
            if seen is None or slot not in seen.held:
                model.drop_dead(slot, key, now_s)
            elif model.objects[key].held[slot].get(IO, 0):
                # First the mark; then the counts, which no roll-back restores.
                counted = seen.held[slot].get(IO, 0)
                obj = model.objects[key]
                obj.tainted = obj.tainted or seen.tainted or counted == 0
                obj.held[slot][IO] = counted
        if model.changing == slot:
            model.changing = found.changing
        return model

    now_s = 0

    def move(pair: Pair, member: Member) -> None:
        nonlocal now_s
        now_s, pair.half = pair.now_s, half
        pair.world.reap(member, slot)
        pair.world.members = [m for m in pair.world.members if m.alive or m.slot != slot]
        if pair.world.arena[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE] & L.MASK_8:
            raise Violation(f"I6: slot {slot} is dead and was reaped, and is not free")
        pair.model.reap(slot, pair.now_s)

    return move


def expire(pair: Pair, member: Member) -> None:
    """Let more than a minute pass, then need memory."""
    pair.clock_ns += (GRACE_S + 1) * L.NS_PER_S
    now_s = pair.now_s

    def half(model: Reference, found: Facts) -> Reference:
        """Some of the due loans are gone: each one ends separately."""
        model.expire(now_s, frozenset(model.loans.keys() - found.loans.keys()))
        return model

    pair.half = half
    world = pair.world
    world.core.words.clock[0] = pair.clock_ns
    record = world.core.lend.oldest(world.arena, member.mine)
    while record:
        record = S.must(world.run(member, world.core.lend.expire, record, GRACE_S))
    S.free_all(world, member)
    pair.model.expire(pair.now_s)


def reclaim(pair: Pair, member: Member) -> None:
    """Let more than a minute pass, with the number of loans at its limit."""
    pair.clock_ns += (GRACE_S + 1) * L.NS_PER_S
    now_s = pair.now_s

    def half(model: Reference, found: Facts) -> Reference:
        """Some of the due loans are gone: each one ends separately."""
        model.reclaim(now_s, frozenset(model.loans.keys() - found.loans.keys()))
        return model

    pair.half = half
    pair.world.core.words.clock[0] = pair.clock_ns
    reclaim_all(pair.world, member)
    pair.model.reclaim(now_s)


def migrate(key: Key) -> Move:
    """Copy an object to other frames and exchange them, as when a member empties a section."""

    def move(pair: Pair, member: Member) -> None:
        world, model = pair.world, pair.model
        copy = allocated(pair, member, len(model.objects[key].frames))
        if copy is None:
            return
        pair.between.append(model.copy())
        S.must(world.run(member, world.core.move.begin, *copy), L.OK)
        model.begin_move(member.slot, copy)
        pair.between.append(model.copy())
        marked = world.run(member, world.core.move.mark, *key)
        if (marked == L.OK) == model.is_watched(member.slot, key):
            raise Violation(f"model: the mark of migration gave {marked:#x}")
        if marked == L.OK:
            S.must(world.alone(member, world.core.move.describe, copy[0], key[0]), L.OK)
            S.must(world.run(member, world.core.move.exchange, key[0], copy[0]), L.OK)
            model.exchange(member.slot, key, copy)
            pair.between.append(model.copy())
        S.let_go(world, member, copy[0])
        model.let_go(member.slot, copy, HAND, pair.now_s)

    return move
