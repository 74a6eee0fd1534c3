"""Interleave the core's own functions, access by access, in every order, with deaths.

An actor is a thread: a list of operations (`actors.py`), each in phases. A phase calls the core,
including its procedures; what these ask of a process (`core/procedures/host.py`) is answered here.
For each step, the phase runs again from its start, fed with what it read before, up to its next
*racy* access: to a word that is stored without the arena's lock, to a byte that is locked, to a
futex, or to the words of a process that has several threads. Everything between two such accesses
is one step: those words belong to the holder of the arena's lock, and `ArenaWords.judge` checks
that nobody else stores them.

A nap is a futex: a napping thread continues when it is woken. Real naps have an end as well, but
only because a dead process may not have woken the waiter. Here no nap ends by itself while every
process is alive, so a lost wake shows as a thread that waits for ever.

The key of a state consists of the words of the arena and of each process, each actor's phase, what
it has read in it, and the napping threads.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Protocol

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore.arena import OWN, ArenaWords, Violation
from tests.explore.interpreted import Core
from tests.explore.world import Member, World

ASKED = (  # what the procedures ask of a process, core/procedures/host.py
    "is_joined", "arena_of", "mine_of", "forget", "probe", "lock_child", "keep_child", "drop_child",
    "open_mappings", "close_mappings", "back_table", "renew", "pid",
)  # fmt: skip
BYTES = -2  # not a word of the arena: the bytes of the slots
FUTEX = -3
LOCAL_WORDS = frozenset(range(L.LOCAL_WORDS))
NO_WORDS: frozenset[int] = frozenset()
SHARED = -1  # the owner of the arena's words; otherwise a process number


class Operation(Protocol):
    """What an actor does, from one phase to the next; the next one is None at the end."""

    def phase(self, run: Run, phase: str, local: Any) -> tuple[str | None, Any]: ...


class Pause(BaseException):
    """The actor reached its next racy access."""


class Blocked(BaseException):
    """The actor waits for something that has not happened."""


def new_local() -> array[int]:
    """Return the words of a process that has joined one arena."""
    words = array("Q", bytes(8 * L.LOCAL_WORDS))
    words[L.LOCAL_JOINED] = 1
    return words


@dataclass
class Process:
    """What the threads of one process share."""

    mine: array[int]
    slot: int
    alive: bool = True
    bytes: frozenset[int] = frozenset()  # slots whose bytes it has locked
    local: array[int] = field(default_factory=new_local)


@dataclass
class Actor:
    """One thread: its operations, and how far it has got."""

    process: int
    operations: Sequence[Operation]
    at: int = 0  # index of its current operation
    phase: str = ""  # "" is the first phase of an operation
    local: Any = None  # what it knows at the start of the phase
    log: tuple[Any, ...] = ()
    done: bool = False


@dataclass
class State:
    """Everything that a step can change."""

    arena: ArenaWords
    processes: list[Process]
    actors: list[Actor]
    deaths: int
    naps: tuple[tuple[int, int, int], ...] = ()  # {actor, owner of the word, its place}, in order
    short: bool = False  # whether naps for the lock also end by themselves
    ends: frozenset[int] = frozenset({L.LOCK})  # words on which naps end after a death

    def copy(self, index: int | None = None) -> State:
        """Return a copy; with an actor's number, a copy in which only that actor runs."""
        processes, actors = self.processes[:], self.actors[:]
        for k in range(len(actors)) if index is None else (index,):
            actors[k] = copy(actors[k])
        for k in range(len(processes)) if index is None else (actors[index].process,):
            p = processes[k]
            processes[k] = Process(p.mine[:], p.slot, p.alive, p.bytes, p.local[:])
        return State(
            self.arena.copy(), processes, actors, self.deaths, self.naps, self.short, self.ends
        )

    def key(self) -> tuple[Any, ...]:
        shared = tuple((hash(p.mine.tobytes()), p.slot, p.alive, p.bytes, hash(p.local.tobytes()))
                       for p in self.processes)  # fmt: skip
        actors = tuple((a.at, a.phase, a.local, a.log, a.done) for a in self.actors)
        return self.arena.key(), self.arena[L.LOCK], shared, actors, self.deaths, self.naps


class Run:
    """One run of an actor's program: replayed from its log, then one racy access further."""

    def __init__(self, state: State, index: int, core: Core, racy: frozenset[int]) -> None:
        self.state = state
        self.index = index
        self.core = core
        self.racy = racy
        self.actor = state.actors[index]
        self.process = state.processes[self.actor.process]
        self.fed = list(self.actor.log)
        self.position = 0
        self.steps = 1
        threads = [other.process for other in state.actors].count(self.actor.process)
        own = LOCAL_WORDS if threads > 1 else NO_WORDS
        self.arena: Any = Seen(self, state.arena, SHARED, racy)
        self.mine: Any = Seen(self, self.process.mine, self.actor.process)
        self.local: Any = Seen(self, self.process.local, self.actor.process, own)
        table = core.host.table.__dict__
        for name in ASKED:
            table[name] = getattr(self, name)
        table["local"] = self.local

    def access(self, at: int, perform: Callable[[], Any], racy: bool) -> Any:
        """Return the logged result of an access, or make the access now."""
        if self.position < len(self.fed):
            self.position += 1
            return self.fed[self.position - 1]
        if racy:
            if self.steps == 0:
                raise Pause
            self.steps -= 1
        value = perform()
        self.fed.append(value)
        self.position += 1
        return value

    # --- what the procedures ask of a process ---------------------------------------------------

    def is_joined(self, number: int) -> bool:
        return number == 0

    def arena_of(self, number: int) -> Any:
        return self.arena

    def mine_of(self, number: int) -> Any:
        return self.mine

    def forget(self, mine: Any) -> None:
        """Do nothing: no handler runs afterwards."""

    def probe(self, mine: Any, slot: int) -> int:
        """Tell whether any process has locked a slot's byte."""
        return int(self.access(BYTES, lambda: self.is_locked(slot), True))

    def is_locked(self, slot: int) -> bool:
        return any(slot in p.bytes for p in self.state.processes if p.alive)

    def lock_child(self, mine: Any, slot: int) -> int:
        def perform() -> int:
            if self.is_locked(slot):
                return L.BUSY
            self.process.bytes |= {slot}
            return L.OK

        status = int(self.access(BYTES, perform, True))
        if status == L.OK:
            mine[L.MINE_CHILD_PAGE] = slot
        return status

    def keep_child(self, mine: Any) -> None:
        mine[L.MINE_SLOT_PAGE] = mine[L.MINE_CHILD_PAGE]

    def drop_child(self, mine: Any) -> None:
        page = mine[L.MINE_CHILD_PAGE]

        def perform() -> None:
            self.process.bytes -= {page}

        if page:
            self.access(BYTES, perform, True)
            mine[L.MINE_CHILD_PAGE] = 0

    def open_mappings(self, mine: Any) -> None:
        """Do nothing: nothing is mapped here."""

    def close_mappings(self, mine: Any) -> None:
        """Do nothing: nothing is mapped here."""

    def back_table(self, mine: Any, which: int, records: int) -> bool:
        return False

    def renew(self, mine: Any, pfn: int, frames: int, again: int) -> bool:
        """Check that this process cleans the run's object, and that the run is still mapped."""

        def perform() -> None:
            arena, private = self.state.arena, self.process.mine
            obj = walk.low(arena[L.CLEANING])
            at = walk.place(private, L.TABLE_OBJECTS, obj)
            if obj == 0 or (pfn, frames) not in walk.runs_of(arena.plain(), private, at)[0]:
                raise Violation(f"clean: frame {pfn} gets new pages, and is not being cleaned")
            if private[L.MINE_STATUS] != L.MEMBER_ACTIVE:
                raise Violation(f"clean: frame {pfn} gets new pages, and is not mapped any more")

        self.access(BYTES, perform, True)
        return True

    def pid(self) -> int:
        return self.process.slot

    # --- the rest of a process -------------------------------------------------------------------

    def lock_local(self) -> None:
        self.core.local_lock.lock()

    def unlock_local(self) -> None:
        self.core.letting_go.release()

    def lock_byte(self, slot: int) -> bool:
        """Lock a slot's byte for this process; False if it is locked already."""

        def perform() -> bool:
            if self.is_locked(slot):
                return False
            self.process.bytes |= {slot}
            self.process.slot = slot
            return True

        return bool(self.access(BYTES, perform, True))

    def unlock_byte(self) -> None:
        """Unlock the slot's byte: to all others, this process is dead from here on."""

        def perform() -> None:
            self.process.bytes = frozenset()
            self.process.alive = False

        self.access(BYTES, perform, True)

    def futex_wait(self, whose: int, words: Any, at: int, seen: int) -> None:
        """Nap while the low half of a word is unchanged, until woken."""
        me = (self.index, whose, at)

        def begin() -> bool:
            if words[at] & L.MASK_32 != seen & L.MASK_32:
                return False
            self.state.naps += (me,)
            return True

        def end() -> None:
            if me in self.state.naps:
                dead = self.state.short or not all(p.alive for p in self.state.processes)
                if whose != SHARED or at not in self.state.ends or not dead:
                    raise Blocked
                self.state.naps = tuple(one for one in self.state.naps if one != me)

        if self.access(FUTEX, begin, True):
            self.access(FUTEX, end, True)

    def futex_wake(self, whose: int, at: int, waiters: int) -> None:
        def perform() -> None:
            woken = [one for one in self.state.naps if one[1:] == (whose, at)][:waiters]
            self.state.naps = tuple(one for one in self.state.naps if one not in woken)

        self.access(FUTEX, perform, True)


class Seen:
    """Words as an actor sees them: every access goes through its run."""

    def __init__(
        self, run: Run, words: Any, whose: int, others: frozenset[int] = frozenset()
    ) -> None:
        self.run = run
        self.words = words
        self.whose = whose
        self.others = others  # words that others may store meanwhile
        self.shared = whose == SHARED

    def racy(self, at: int) -> bool:
        return at in self.others

    def act(self, at: int, perform: Callable[[], Any]) -> Any:
        if self.shared:
            process = self.run.process
            self.words.actor = process.slot
            if self.words.kinds[at] == OWN and process.slot not in process.bytes:
                raise Violation(f"own: word {at} was stored by a process that is no member")
        return self.run.access(at, perform, self.racy(at))

    def __getitem__(self, at: int) -> int:
        return int(self.run.access(at, lambda: self.words[at], self.racy(at)))

    def __setitem__(self, at: int, value: int) -> None:
        self.act(at, lambda: self.words.__setitem__(at, value))

    def exchange(self, at: int, value: int) -> int:
        def perform() -> int:
            old = int(self.words[at])
            self.words[at] = value
            return old

        return int(self.act(at, perform))

    def compare_exchange(self, at: int, old: int, value: int) -> bool:
        def perform() -> bool:
            if self.words[at] != old:
                return False
            self.words[at] = value
            return True

        return bool(self.act(at, perform))

    def futex_wait(self, at: int, seen: int, nap_ns: int) -> int:
        self.run.futex_wait(self.whose, self.words, at, seen)
        return 0

    def futex_wake(self, at: int, waiters: int) -> None:
        self.run.futex_wake(self.whose, at, waiters)


@dataclass
class Counted:
    """What an exploration saw."""

    states: int = 0
    transitions: int = 0
    ends: int = 0


class Interleaver:
    """Explores all orders of some actors' steps, and deaths of their processes."""

    def __init__(
        self,
        world: World,
        actors: Iterable[tuple[int, Sequence[Operation]]],
        judge: Callable[[State, Core], None],
        deaths: int = 0,
        racy: Iterable[int] = (L.LOCK,),
        states_max: int = 2_000_000,
    ) -> None:
        self.core = world.core
        self.world = world
        self.judge_end = judge
        self.may_wait: Callable[[State], bool] = lambda state: False
        self.states_max = states_max
        self.racy = frozenset(racy)
        processes = [
            Process(m.mine[:], m.slot, m.alive, frozenset({m.slot} if m.slot else ()))
            for m in world.members
        ]
        world.arena.begin()
        self.first = State(world.arena.copy(), processes, [Actor(p, f) for p, f in actors], deaths)
        self.counted = Counted()

    def step(self, state: State, index: int) -> State | None:
        """Return the state after one actor's next step; None if the actor waits."""
        after = state.copy(index)
        run = Run(after, index, self.core, self.racy)
        actor = after.actors[index]
        try:
            operation = actor.operations[actor.at]
            phase, actor.local = operation.phase(run, actor.phase, actor.local)
        except Pause:
            actor.log = tuple(run.fed)
            return self.kept(state, after)
        except Blocked:
            return None
        actor.log = ()
        actor.phase = phase or ""
        if phase is None:
            actor.at += 1
            actor.done = actor.at == len(actor.operations)
        return self.kept(state, after)

    def kept(self, before: State, after: State) -> State:
        """Return the new state, sharing the arena's words with the old one if none was stored."""
        if after.arena.stores == 0:
            after.arena = before.arena
        return after

    def kill(self, state: State, index: int) -> State:
        after = state.copy()
        after.deaths -= 1
        process = after.processes[index]
        process.alive = False
        process.bytes = frozenset()
        for actor in after.actors:
            actor.done = actor.done or actor.process == index
        after.naps = tuple(one for one in after.naps if after.actors[one[0]].process != index)
        return after

    def explore(self) -> Counted:
        """Explore every order, short ones first; a violation ends with the path that led to it."""
        seen = {self.first.key()}
        first_way: tuple[str, ...] = ()
        todo = deque([(self.first, first_way)])
        while todo:
            state, way = todo.popleft()
            self.counted.states += 1
            if self.counted.states > self.states_max:
                raise Violation(f"bound: more than {self.states_max:,} states")
            for name, after in self.moves(state, way):
                self.counted.transitions += 1
                key = after.key()
                if key not in seen:
                    seen.add(key)
                    todo.append((after, (*way, name)))
        return self.counted

    def moves(self, state: State, way: tuple[str, ...]) -> Iterable[tuple[str, State]]:
        """Yield each next state; judge the state if there is none."""
        waiting = False
        moved = False
        for index, actor in enumerate(state.actors):
            if actor.done:
                continue
            try:
                after = self.step(state, index)
            except Violation as error:
                raise Violation(f"{error} (way: {' '.join((*way, str(index)))})") from error
            waiting = waiting or after is None
            if after is not None:
                moved = True
                yield str(index), after
        if not moved:
            try:
                if waiting and not self.may_wait(state):
                    raise Violation("hang: everybody waits for ever")
                self.counted.ends += 1
                self.judge_end(state.copy(), self.core)
            except Violation as error:
                raise Violation(f"{error} (way: {' '.join(way)})") from error
        if state.deaths > 0:
            for index, process in enumerate(state.processes):
                if process.alive and any(a.process == index and not a.done for a in state.actors):
                    yield f"kill{index}", self.kill(state, index)


def world_of(state: State, world: World) -> World:
    """Return a state as a world, to continue one step at a time."""
    members = [Member(p.mine, p.slot, p.alive) for p in state.processes]
    return World(world.core, world.geometry, state.arena, members)
