"""Interleave the core's own functions, access by access, in every order, with deaths.

An actor is a thread: a list of operations (`actors.py`), each in phases. A phase calls the core. It
is run again from its start for each step, fed with what it read before, up to its next *racy*
access: to a word that is stored without the arena's lock, to a byte that is locked, or to the
process-local lock. Everything between two such accesses is done at once: those words belong to the
holder of the arena's lock, and `ArenaWords.judge` sees to it that nobody else stores them.

States are recognised by the arena's words, the private words, each actor's phase, and what it has
read in it.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from scamem.core.store import layout as L
from tests.explore.arena import OWN, ArenaWords, Violation
from tests.explore.interpreted import Core
from tests.explore.world import Member, World

LOCAL_LOCK = -1  # no word of the arena: a process's own lock
BYTES = -2  # the bytes of the slots


class Operation(Protocol):
    """What an actor does: from a phase to the next; the next one's name is None at the end."""

    def phase(self, run: Run, phase: str, local: Any) -> tuple[str | None, Any]: ...


class Pause(BaseException):
    """The actor came to its next racy access."""


class Blocked(BaseException):
    """The actor waits for something that has not happened."""


@dataclass
class Process:
    """What the threads of one process share."""

    mine: array[int]
    slot: int
    alive: bool = True
    local: int = 0  # which actor has the process-local lock, from 1
    bytes: frozenset[int] = frozenset()  # slots whose bytes it has locked


@dataclass
class Actor:
    """One thread: what it does, and how far it has come."""

    process: int
    operations: Sequence[Operation]
    at: int = 0  # which operation
    phase: str = ""  # "" is an operation's first
    local: Any = None  # what it knows at the phase's begin
    log: tuple[Any, ...] = ()
    done: bool = False


@dataclass
class State:
    """Everything that a step can change."""

    arena: ArenaWords
    processes: list[Process]
    actors: list[Actor]
    deaths: int

    def copy(self) -> State:
        processes = [Process(p.mine[:], p.slot, p.alive, p.local, p.bytes) for p in self.processes]
        actors = [replace(actor) for actor in self.actors]
        return State(self.arena.copy(), processes, actors, self.deaths)

    def key(self) -> tuple[Any, ...]:
        shared = tuple((hash(p.mine.tobytes()), p.slot, p.alive, p.local, p.bytes)
                       for p in self.processes)  # fmt: skip
        actors = tuple((a.at, a.phase, a.local, a.log, a.done) for a in self.actors)
        return self.arena.key(), self.arena[L.LOCK], shared, actors, self.deaths


class Run:
    """One run of an actor's program: fed from its log, then one racy access further."""

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
        self.arena: Any = Seen(self, state.arena)
        self.mine: Any = Seen(self, self.process.mine)

    def access(self, at: int, perform: Callable[[], Any], racy: bool) -> Any:
        """Return what an access gave before, or make it now."""
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

    def lock_local(self) -> None:
        def perform() -> None:
            if self.process.local != 0:
                raise Blocked
            self.process.local = self.index + 1

        self.access(LOCAL_LOCK, perform, True)

    def unlock_local(self) -> None:
        def perform() -> None:
            self.process.local = 0

        self.access(LOCAL_LOCK, perform, True)

    def probe(self, slot: int) -> bool:
        """Tell whether a slot's byte is locked by anybody."""
        locked = any(slot in p.bytes for p in self.state.processes if p.alive)
        return bool(self.access(BYTES, lambda: locked, True))

    def lock_byte(self, slot: int) -> bool:
        """Lock a slot's byte for this process; False: somebody has it."""

        def perform() -> bool:
            if any(slot in p.bytes for p in self.state.processes if p.alive):
                return False
            self.process.bytes |= {slot}
            self.process.slot = slot
            return True

        return bool(self.access(BYTES, perform, True))

    def unlock_byte(self) -> None:
        """Give the slot's byte up: to all others this process is dead from here on."""

        def perform() -> None:
            self.process.bytes = frozenset()
            self.process.alive = False

        self.access(BYTES, perform, True)

    def nap(self, seen: int) -> None:
        """Wait until the lock word is another one, or its holder has died."""

        def perform() -> None:
            slot = seen & L.LOCK_SLOT_MASK
            dead = not any(slot in p.bytes for p in self.state.processes if p.alive)
            if self.state.arena[L.LOCK] == seen and not dead:
                raise Blocked

        self.access(BYTES, perform, True)


class Seen:
    """Words as an actor sees them: every access goes through its run."""

    def __init__(self, run: Run, words: Any) -> None:
        self.run = run
        self.words = words
        self.shared = isinstance(words, ArenaWords)

    def racy(self, at: int) -> bool:
        return self.shared and at in self.run.racy

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
        return int(self.act(at, lambda: self.words.exchange(at, value)))

    def compare_exchange(self, at: int, old: int, value: int) -> bool:
        return bool(self.act(at, lambda: self.words.compare_exchange(at, old, value)))


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
        self.states_max = states_max
        self.racy = frozenset(racy)
        processes = [
            Process(m.mine[:], m.slot, m.alive, 0, frozenset({m.slot} if m.slot else ()))
            for m in world.members
        ]
        world.arena.begin()
        self.first = State(world.arena.copy(), processes, [Actor(p, f) for p, f in actors], deaths)
        self.counted = Counted()

    def step(self, state: State, index: int) -> State | None:
        """Return what a state becomes by one actor's next step; None: it waits."""
        after = state.copy()
        run = Run(after, index, self.core, self.racy)
        actor = after.actors[index]
        try:
            operation = actor.operations[actor.at]
            phase, actor.local = operation.phase(run, actor.phase, actor.local)
        except Pause:
            actor.log = tuple(run.fed)
            return after
        except Blocked:
            return None
        actor.log = ()
        actor.phase = phase or ""
        if phase is None:
            actor.at += 1
            actor.done = actor.at == len(actor.operations)
        return after

    def kill(self, state: State, index: int) -> State:
        after = state.copy()
        after.deaths -= 1
        process = after.processes[index]
        process.alive = False
        process.bytes = frozenset()
        process.local = 0
        for actor in after.actors:
            actor.done = actor.done or actor.process == index
        return after

    def explore(self) -> Counted:
        """Go every way, short ones first; a violation ends with the way that led to it."""
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
                if waiting:
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
    """Return the world that a state is, to go on with one step at a time."""
    members = [Member(p.mine, p.slot, p.alive) for p in state.processes]
    return World(world.core, world.geometry, state.arena, members)
