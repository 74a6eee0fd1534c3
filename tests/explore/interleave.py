"""Every order of operations of two or three members on a tiny arena, with deaths, to a depth.

A move is one operation of one member, or its death: at rest, or at one of the operation's stores.
After each move, I1 to I7 are checked. The reference model, which did the same, must agree: which
frames are free, absent or in which object, who holds what how often, names, loans, memory. A member
that died in an operation has done all of it or nothing, or left a state that a reap finishes. The
next member to move takes the lock over.

The search is breadth first, so that the first failure has a shortest trace. Of equivalent states
(canonical.py), only one is explored further. Of members that could change places, one moves. Of
deaths that leave the same words, one is tried (recorded.py). Only 128 bits of an explored state are
kept; until then, its words are kept, packed. A failure prints how to run its trace again.
"""

from __future__ import annotations

import gc
import pickle
import sys
import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from tests.explore import families
from tests.explore.arena import Violation
from tests.explore.canonical import Form, digest, digest_of, form_of
from tests.explore.facts import Facts, read
from tests.explore.interpreted import Core
from tests.explore.operations import Move, Pair, in_use, reap
from tests.explore.outcome import agree, outcome
from tests.explore.recorded import Record, RecordedWords
from tests.explore.world import CREATED_NS, TINY, Member, World, check_words, new_world
from tests.model.reference import Disagreement, Reference

GEOMETRY = TINY._replace(areas_max=3)  # one name is enough
KNOWN_MAX = 50_000  # arenas whose facts and form are kept
Trace = tuple[Any, ...]  # {earlier moves, the last move}


@dataclass
class Seen:
    """What is known of an arena's words: judged, read, and in canonical form."""

    facts: Facts
    form: Form


def spans_of(world: World) -> list[tuple[int, int]]:
    """Return the ranges of the words that make up a state at rest, or tell states apart.

    Without the lock (a ticket), the journal (empty), counters for reports, futex words.
    """
    spans = [(L.NEXT_INCARNATION, L.REAPED_MEMBERS), (L.CLEANING_HEAD, L.CLEANING + 1)]
    spans += [(L.DRAINING, L.TABLES + L.TABLES_COUNT * L.TABLE_WORDS)]
    spans += [(L.ZONES, L.ZONES + L.ZONE_WORDS * world.geometry.zones)]
    spans += [
        (region.start, region.start + region.words)
        for name, region in world.geometry.regions().items()
        if name != "globals"
    ]
    return spans


@dataclass
class Exploration:
    """Explores every order to a depth."""

    core: Core
    members: int = 2
    deaths: int = 2
    moves_of: Callable[[Pair, Member], Iterator[tuple[str, Move]]] = families.everything
    sections: int = 1  # online at the start
    merge: bool = True  # False: explore every state whose words differ, with each member
    transitions: int = 0
    crashes: int = 0
    reached: set[bytes] = field(default_factory=set)  # digests of the states judged
    gone: set[bytes] = field(default_factory=set)  # and of those explored, if not merged
    known: dict[bytes, Seen] = field(default_factory=dict)
    base: RecordedWords = field(init=False)  # words of the first state
    geometry: Geometry = field(init=False)
    spans: list[tuple[int, int]] = field(init=False)

    def first(self) -> Pair:
        world = new_world(self.core, GEOMETRY, self.members, self.sections)
        world.arena = self.base = RecordedWords.of(world.arena)
        self.geometry, self.spans = world.geometry, spans_of(world)
        frames = range(world.geometry.section_frames * self.sections)
        model = Reference.begin(frames, (member.slot for member in world.members))
        return Pair(world, model, CREATED_NS, self.deaths)

    def explore(self, depth: int, states_max: int, say: Callable[[str], None] | None = None) -> int:
        """Explore one depth after the other; return the last that was explored completely."""
        collects = gc.isenabled()
        gc.disable()  # nothing here is in a cycle, and each collection would visit all states
        try:
            return self.search(depth, states_max, say)
        finally:
            if collects:
                gc.enable()

    def search(self, depth: int, states_max: int, say: Callable[[str], None] | None) -> int:
        first = self.first()
        self.reached.add(self.key(first))
        level: deque[tuple[bytes, Trace]] = deque([(self.pack(first), ())])
        for now in range(1, depth + 1):
            following: deque[tuple[bytes, Trace]] = deque()
            while level:
                packed, trace = level.popleft()
                for label, after in self.after(self.unpack(packed), trace):
                    self.transitions += 1
                    if self.is_new(after) and now < depth:
                        following.append((self.pack(after), (trace, label)))
                if len(self.reached) > states_max:
                    break
            if say is not None:
                say(self.figures(now, not level))
            if level:
                return now - 1
            level = following
        return depth

    def figures(self, depth: int, whole: bool) -> str:
        """Return the figures so far."""
        return (
            f"{self.members} members, {self.deaths} deaths: "
            f"{'to' if whole else 'not all of'} depth {depth}: {len(self.reached):,} states, "
            f"{self.transitions:,} transitions, {self.crashes:,} of them deaths inside an operation"
        )

    # --- states ----------------------------------------------------------------------------------

    def pack(self, pair: Pair) -> bytes:
        """Return a whole state, as bytes."""
        members = [(m.slot, m.alive, m.mine.tobytes()) for m in pair.world.members]
        state = self.words(pair.world), members, pair.model, pair.clock_ns, pair.deaths
        return zlib.compress(pickle.dumps(state, pickle.HIGHEST_PROTOCOL), 1)

    def unpack(self, packed: bytes) -> Pair:
        words, members, model, clock_ns, deaths = pickle.loads(zlib.decompress(packed))
        arena = self.base.copy()
        view, at = memoryview(arena), 0
        for start, end in self.spans:
            view[start:end] = memoryview(words)[at : at + 8 * (end - start)].cast("Q")
            at += 8 * (end - start)
        made = [Member(array("Q", mine), slot, alive) for slot, alive, mine in members]
        return Pair(World(self.core, self.geometry, arena, made), model, clock_ns, deaths)

    def words(self, world: World) -> bytes:
        view = memoryview(world.arena)
        return b"".join([view[start:end] for start, end in self.spans])

    def seen(self, pair: Pair) -> Seen:
        """Check I1 to I7 of an arena, and read it; only once for the same words."""
        if pair.seen is None:
            pair.seen = self.look(pair.world)
        return cast("Seen", pair.seen)

    def look(self, world: World) -> Seen:
        arena = world.arena
        if arena[L.LOCK] & (L.LOCK_SLOT_MASK | L.LOCK_FLAGS):
            raise Violation(f"lock: its word is {arena[L.LOCK]:#x} when nobody does anything")
        name = digest_of(self.words(world))
        found = self.known.get(name)
        if found is None:
            words, mine = arena.plain(), world.members[0].mine
            check_words(words, mine)
            if len(self.known) > KNOWN_MAX:
                self.known.clear()
            found = self.known[name] = Seen(read(words, mine), form_of(words, mine))
        return found

    def key(self, pair: Pair) -> bytes:
        """Return the key of a state."""
        form = self.seen(pair).form
        parts = sorted(form.part(member) for member in pair.world.members)
        slots = {member.slot for member in pair.world.members}
        others = [form.parts[slot] for slot in sorted(form.parts.keys() - slots)]
        memory = sum(1 << k for k in pair.model.memory), sum(1 << k for k in pair.model.perhaps)
        return digest((parts, others, form.rest, memory, pair.deaths))

    def is_new(self, pair: Pair) -> bool:
        """Tell whether a state is new; from now on it is known."""
        count = len(self.reached)
        self.reached.add(self.key(pair))
        if self.merge:
            return len(self.reached) > count
        members = [(m.slot, m.alive, m.mine.tobytes()) for m in pair.world.members]
        memory = sorted(pair.model.memory), sorted(pair.model.perhaps)
        rest = pickle.dumps((members, memory, pair.clock_ns, pair.deaths))
        name = digest_of(self.words(pair.world) + rest)
        count = len(self.gone)
        self.gone.add(name)
        return len(self.gone) > count

    # --- moves -----------------------------------------------------------------------------------

    def after(self, pair: Pair, trace: Trace) -> Iterator[tuple[str, Pair]]:
        """Yield each move from here, judged."""
        label = ""
        try:
            for name, slot, move in self.moves(pair):
                label = name
                done, record = self.done(pair, slot, move)
                yield label, done
                for store in self.deaths_in(pair, record):
                    label = f"{name} dies@{store}"
                    yield label, self.dies(pair, done, slot, record, store)
            for member in self.movers(pair):
                label = f"{member.slot} dies"
                if pair.deaths and len(pair.living()) > 1:
                    yield label, self.rests(pair, member.slot)
        except (Violation, Disagreement) as error:
            raise self.failure(error, trace, label) from error

    def failure(self, error: AssertionError, trace: Trace, label: str) -> Violation:
        moves = [label]
        while trace:
            trace, last = trace
            moves.append(last)
        way = "; ".join(reversed(moves))
        command = f'python -m tests.explore.interleave "{way}" {self.members} {self.sections}'
        return Violation(f"{error}\ntrace: {way}\nagain: {command}")

    def movers(self, pair: Pair) -> list[Member]:
        """Return the living members; only one of those that could change places."""
        if not self.merge:
            return pair.living()
        form = self.seen(pair).form
        return list({form.part(member): member for member in pair.living()}.values())

    def moves(self, pair: Pair) -> Iterator[tuple[str, int, Move]]:
        for member in self.movers(pair):
            for name, move in self.moves_of(pair, member):
                yield f"{member.slot} {name}", member.slot, move
            for slot in pair.world.dead():
                yield f"{member.slot} reap{slot}", member.slot, reap(slot)

    def deaths_in(self, pair: Pair, record: Record) -> list[int]:
        """Return at which stores of a move its member dies."""
        if not pair.deaths or len(pair.living()) < 2:
            return []
        stores = record.deaths(self.transitions)
        self.crashes += len(stores)
        return stores

    def member(self, pair: Pair, slot: int) -> Member:
        return next(m for m in pair.world.members if m.slot == slot and m.alive)

    def done(self, pair: Pair, slot: int, move: Move) -> tuple[Pair, Record]:
        after = pair.copy()
        self.core.words.clock[0] = after.clock_ns
        move(after, self.member(after, slot))
        before, stored = pair.world.arena, after.world.arena
        record = Record(cast("RecordedWords", before), cast("RecordedWords", stored).log)
        record.judge()
        agree(after, self.seen(after).facts)
        return after, record

    def rests(self, pair: Pair, slot: int) -> Pair:
        """Return the pair after a member died at rest."""
        after = pair.copy()
        after.seen = pair.seen
        self.member(after, slot).alive = False
        after.deaths -= 1
        after.model.die(slot)
        return after

    def dies(self, pair: Pair, done: Pair, slot: int, record: Record, store: int) -> Pair:
        """Return the pair after a death within a move and the take-over by the next member."""
        after = pair.copy()
        world = after.world
        world.arena = record.after(store)
        before = {member.slot for member in world.members}
        world.members += [
            Member(m.mine, m.slot) for m in done.world.members if m.slot not in before
        ]  # a child dies with its parent
        for member in world.members:
            if member.slot == slot or member.slot not in before:
                member.alive = False
        after.deaths -= 1
        self.core.words.clock[0] = after.clock_ns = done.clock_ns
        successor = after.living()[0]
        world.enter(successor)
        world.leave(successor)
        world.members = [m for m in world.members if m.alive or in_use(world, m)]
        after.model = outcome(pair, done, after, self.seen(after).facts, slot)
        return after


def replay(core: Core, trace: str, members: int = 2, sections: int = 1) -> None:
    """Run one trace again, move by move; report what is wrong at the move where it occurs."""
    exploration = Exploration(core, members, sections=sections, merge=False)
    pair = exploration.first()
    for label in trace.split("; "):
        pair = step(exploration, pair, label)


def step(exploration: Exploration, pair: Pair, label: str) -> Pair:
    """Return the pair after one move, given by its label."""
    name, _, store = label.partition(" dies")
    slot = int(name.split()[0])
    if name == str(slot):
        return exploration.rests(pair, slot)
    move = next(move for known, _, move in exploration.moves(pair) if known == name)
    done, record = exploration.done(pair, slot, move)
    if not store:
        return done
    return exploration.dies(pair, done, slot, record, int(store.removeprefix("@")))


def main(arguments: list[str]) -> None:
    """Run `TRACE [MEMBERS [SECTIONS]]` again, or explore `MEMBERS DEATHS DEPTH STATES [FAMILY]`."""
    if not arguments[0].isdecimal():
        replay(Core(), arguments[0], *map(int, arguments[1:]))
        return
    members, deaths, depth, states = map(int, arguments[:4])
    moves = getattr(families, arguments[4] if arguments[4:] else "everything")
    Exploration(Core(), members, deaths, moves).explore(depth, states, print)


if __name__ == "__main__":
    main(sys.argv[1:])
