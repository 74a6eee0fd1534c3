"""What members do with locks and the like, in phases; the frame lies among the arena's words.

Words that a guard protects are read without a pause, since only its holder may store them. As long
as somebody can die, each store is a step, so that a member can die before and after it. Words that
are read without the guard are racy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scamem.core.store import layout as L
from scamem.core.sync import places as P
from tests.explore.actors import Next
from tests.explore.arena import ANY, Violation
from tests.explore.interpreted import Core
from tests.explore.steps import SHARED, Interleaver, Operation, Run, State
from tests.explore.world import World, new_world

ENTRIES = 3
WORDS = P.ENTRIES + ENTRIES * P.ENTRY_WORDS
INSIDE = WORDS  # slots of the members in the critical section, one word each
DATA = WORDS + 8  # two words that are always stored together
LOOKS_MAX = 2  # looks beyond these change nothing
FREE = frozenset(
    {P.MUTEX, P.GUARD, P.FLAG, DATA, DATA + 1}
    | {P.ENTRIES + P.ENTRY_WORDS * k + P.ENTRY_WAKE for k in range(ENTRIES)}
)
WATCH = (0,) * P.WATCH_WORDS


def base_of(world: World) -> int:
    """Return where the frame is: in the table of areas, which no scenario here uses."""
    return world.geometry.regions()["areas_max"].start


class Plain:
    """The frame's words outside a run: to set a scene, or to judge."""

    def __init__(self, words: Any, base: int) -> None:
        self.words = words
        self.base = base

    def __getitem__(self, at: int) -> int:
        return int(self.words[self.base + at])

    def __setitem__(self, at: int, value: int) -> None:
        self.words.raw(self.base + at, value)

    def compare_exchange(self, at: int, old: int, value: int) -> bool:
        if self[at] != old:
            return False
        self[at] = value
        return True

    def futex_wake(self, at: int, waiters: int) -> None:
        """Wake nobody: nobody naps yet."""


class Frame:
    """The frame's words as an actor sees them."""

    def __init__(self, run: Run, base: int, free: frozenset[int] = FREE) -> None:
        self.run = run
        self.words = run.state.arena
        self.base = base
        self.free = free

    def __getitem__(self, at: int) -> int:
        place = self.base + at
        return int(self.run.access(place, lambda: self.words[place], at in self.free))

    def __setitem__(self, at: int, value: int) -> None:
        place = self.base + at
        racy = self.run.state.deaths > 0 or at in self.free
        self.run.access(place, lambda: self.words.__setitem__(place, value), racy)

    def compare_exchange(self, at: int, old: int, value: int) -> bool:
        place = self.base + at

        def perform() -> bool:
            if self.words[place] != old:
                return False
            self.words[place] = value
            return True

        return bool(self.run.access(place, perform, True))

    def futex_wait(self, at: int, seen: int, nap_ns: int) -> int:
        self.run.futex_wait(SHARED, self.words, self.base + at, seen)
        return 0

    def futex_wake(self, at: int, waiters: int) -> None:
        self.run.futex_wake(SHARED, self.base + at, waiters)


def claim(run: Run) -> int:
    return int(run.core.alive.claim(run.mine))


def nap(run: Run, frame: Any, watch: tuple[int, ...]) -> None:
    if watch[P.WATCH_AT]:
        frame.futex_wait(watch[P.WATCH_AT], watch[P.WATCH_SEEN], L.NAP_NS)


def kept(watch: list[int]) -> tuple[int, ...]:
    watch[P.WATCH_LOOKS] = min(watch[P.WATCH_LOOKS], LOOKS_MAX)
    return tuple(watch)


ALONE, BESIDE, SILENT = 1, 2, 3  # SILENT: alone, and nobody is told of its death


def go_in(run: Run, frame: Any, status: int, how: int = ALONE) -> None:
    """Enter the critical section: nobody alive may be in it; of the dead, this one was told."""
    mine = run.process.slot
    run.access(-1, lambda: None, True)
    for other, process in enumerate(run.state.processes):
        there = frame[INSIDE + other]
        if there and process.slot != mine and (how, there) != (BESIDE, BESIDE):
            if process.alive:
                raise Violation(f"lock: slots {mine} and {process.slot} are inside at once")
            if there == ALONE and status != P.OWNER_DIED:
                raise Violation(f"recovered: slot {mine} was not told that a holder died")
            frame[INSIDE + other] = 0
    frame[INSIDE + run.actor.process] = how


def go_out(run: Run, frame: Any) -> None:
    frame[INSIDE + run.actor.process] = 0


@dataclass(frozen=True)
class Take:
    """Take a lock, go in and out, unlock; or give up after the first nap."""

    base: int
    gives_up: bool = False

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        frame, me, mutex = Frame(run, self.base), claim(run), run.core.mutex
        if phase == "":
            if mutex.try_take(frame, P.MUTEX, me):
                return "in", L.OK
            return "look", WATCH
        if phase == "look":
            watch = list(local)
            status = mutex.look(frame, P.MUTEX, run.arena, run.mine, me, watch)
            return ("nap", kept(watch)) if status == L.BUSY else ("in", status)
        if phase == "nap":
            nap(run, frame, local)
            return ("stop" if self.gives_up else "look"), local
        if phase == "stop":
            mutex.pass_on(frame, P.MUTEX)
            return None, None
        if phase == "in":
            go_in(run, frame, local)
            return "out", None
        if phase == "out":
            go_out(run, frame)
            return "unlock", None
        if mutex.unlock(frame, P.MUTEX, me) != L.OK:
            raise Violation("lock: its holder was refused")
        return None, None


@dataclass(frozen=True)
class Permit:
    """Wait for a permit, or for all; go in and out; release. Or give up after the first nap."""

    base: int
    units: int = 1
    by_thread: int = 0
    gives_up: bool = False

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        frame, me, permits = Frame(run, self.base), claim(run), run.core.permits
        state = frame, run.arena, run.mine, me
        watch = list(local or WATCH)
        if phase in ("", "look"):
            status = permits.acquire(*state, self.by_thread, self.units, watch)
            if status in (L.BUSY, P.QUEUED):
                return "nap", kept(watch)
            return "in", (status,)
        if phase == "nap":
            nap(run, frame, local)
            return ("stop" if self.gives_up and watch[P.WATCH_ENTRY] else "look"), local
        if phase == "stop":
            status = permits.withdraw(*state, watch)
            return ("wait to stop", kept(watch)) if status == L.BUSY else (None, None)
        if phase == "wait to stop":
            nap(run, frame, local)
            return "stop", local
        if phase == "in":
            several = BESIDE if frame[P.VALUE] > 1 else SILENT
            go_in(run, frame, local[0], ALONE if self.units != 1 else several)
            return "out", None
        if phase == "out":
            go_out(run, frame)
            return "release", WATCH
        if phase == "wait":
            nap(run, frame, local)
            return "release", local
        if self.by_thread:
            status = permits.release_turn(*state, self.by_thread, self.units != 1, watch)
        else:
            status = permits.release(*state, watch)
        return ("wait", kept(watch)) if status == L.BUSY else (None, None)


@dataclass(frozen=True)
class Guarded:
    """One operation that needs the guard, tried until it is had."""

    base: int
    act: Callable[[Run, Any, int, list[int]], int]

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        frame, watch = Frame(run, self.base), list(local or WATCH)
        if phase == "nap":
            nap(run, frame, local)
            return "", local
        status = self.act(run, frame, claim(run), watch)
        return ("nap", kept(watch)) if status == L.BUSY else (None, None)


@dataclass(frozen=True)
class Sleep:
    """Sleep in an entry that is there already, until notified."""

    base: int
    entry: int

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        what = {P.ENTRIES + P.ENTRY_WORDS * k + P.ENTRY_WHAT for k in range(ENTRIES)}
        frame, me = Frame(run, self.base, FREE | what), claim(run)
        sleepers = run.core.sleepers
        watch = list(local or WATCH)
        watch[P.WATCH_ENTRY] = self.entry + 1
        if phase == "":
            if sleepers.is_notified(frame, watch):
                return "finish", WATCH
            return "nap", tuple(watch)
        if phase == "nap":
            nap(run, frame, local)
            return "tend", (1, *WATCH[1:])
        if phase == "tend":
            status = sleepers.tend(frame, run.arena, run.mine, me, watch)
            return ("wait", kept(watch)) if status == L.BUSY else ("", None)
        if phase == "wait":
            nap(run, frame, local)
            return "", None
        if phase == "nap to finish":
            nap(run, frame, local)
            return "finish", local
        status = sleepers.finish(frame, run.arena, run.mine, me, False, watch)
        return ("nap to finish", kept(watch)) if status == L.BUSY else (None, None)


@dataclass(frozen=True)
class Meet:
    """Wait at a barrier once; what came of it is kept in the words of who is inside."""

    base: int

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        frame, me, parties = Frame(run, self.base), claim(run), run.core.parties
        state = frame, run.arena, run.mine, me
        if phase == "end":
            frame[INSIDE + run.actor.process] = local
            return None, None
        watch = list(local or WATCH)
        if phase == "":
            status = parties.arrive(*state, watch)
        elif phase == "trip":
            status = parties.trip(*state, watch)
        elif phase == "look":
            status = parties.look(*state, watch)
        else:
            nap(run, frame, local)
            return phase.partition(" ")[2], local
        if status == L.BUSY:
            return f"nap {phase}", kept(watch)
        if status == P.QUEUED:
            return "nap look", kept(watch)
        if status == P.LAST:
            return "trip", (0, *kept(watch)[1:])
        return "end", 1 if status == L.OK else 2


@dataclass(frozen=True)
class Await:
    """Wait for an event."""

    base: int

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        frame = Frame(run, self.base)
        if phase == "nap":
            nap(run, frame, local)
            return "", local
        watch = list(local or WATCH)
        if run.core.flag.look(frame, watch) == L.OK:
            return None, None
        return "nap", tuple(watch)


@dataclass(frozen=True)
class Write:
    """Update two words in place."""

    base: int
    value: int

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        frame, sequence = Frame(run, self.base), run.core.sequence
        at = P.FLAG
        watch = list(local or WATCH)
        if phase == "":
            status = sequence.begin(frame_arena(run, frame), run.mine, at, 0, watch)
            if status == L.BUSY:
                return "nap", tuple(watch)
            if status == L.OK and frame[DATA] != frame[DATA + 1]:
                raise Violation("recovered: a writer was not told that the last one died")
            return "one", tuple(watch)
        if phase == "nap":
            nap(run, frame, local)
            return "", None
        if phase == "one":
            frame[DATA] = self.value
            return "two", local
        if phase == "two":
            frame[DATA + 1] = self.value
            return "end", local
        sequence.end(frame_arena(run, frame), run.mine, at, local[P.WATCH_RESULT])
        return None, None


@dataclass(frozen=True)
class Read:
    """Read two words that are updated together; or claim them for reading."""

    base: int
    claims: bool = False

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        frame, sequence = Frame(run, self.base), run.core.sequence
        arena, at = frame_arena(run, frame), P.FLAG
        watch = list(WATCH)
        if phase == "":
            if self.claims:
                status = sequence.begin(arena, run.mine, at, P.SEQUENCE_READS, watch)
            else:
                status = sequence.look(arena, run.mine, at, watch)
            if status == P.BROKEN:
                return None, None
            return ("nap" if status == L.BUSY else "one"), tuple(watch)
        if phase == "nap":
            nap(run, frame, local)
            return "", None
        if phase == "one":
            return "two", (local, frame[DATA])
        if phase == "two":
            return "check", (*local, frame[DATA + 1])
        watch, one, two = list(local[0]), *local[1:]
        if self.claims:
            sequence.end(arena, run.mine, at, watch[P.WATCH_RESULT])
        elif not sequence.is_unchanged(arena, at, watch):
            return "", None
        if one != two:
            raise Violation(f"torn: a reader got {one} and {two}")
        return None, None


def frame_arena(run: Run, frame: Frame) -> Any:
    """Return the frame with the arena's words behind it: a sequence word is one of the arena's."""
    return Both(run, frame)


class Both:
    """The sequence word in the frame, and all other words in the arena."""

    def __init__(self, run: Run, frame: Frame) -> None:
        self.arena = run.arena
        self.frame = frame

    def __getitem__(self, at: int) -> int:
        return int(self.frame[at] if at == P.FLAG else self.arena[at])

    def __setitem__(self, at: int, value: int) -> None:
        self.frame[at] = value

    def compare_exchange(self, at: int, old: int, value: int) -> bool:
        return self.frame.compare_exchange(at, old, value)

    def futex_wake(self, at: int, waiters: int) -> None:
        self.frame.futex_wake(at, waiters)


Make = Callable[[int, int], Operation]


def scene(
    core: Core,
    members: int,
    actors: Callable[[int], Iterable[list[Operation]]],
    judge: Callable[[State, Any], None] = lambda state, frame: None,
    deaths: int = 0,
    prepare: Callable[[World, Plain], None] = lambda world, frame: None,
) -> Interleaver:
    """Return an exploration of one actor for each member, with a new frame."""
    core.places.ENTRIES_MAX = ENTRIES
    core.places.HUNGRY_LOOKS = 1
    core.places.TRIES = 2
    world = new_world(core, members=members)
    base = base_of(world)
    kinds = bytearray(world.arena.kinds)
    kinds[base : base + WORDS + 16] = bytes([ANY]) * (WORDS + 16)
    world.arena.kinds = bytes(kinds)
    frame = Plain(world.arena, base)
    for at in range(WORDS + 16):
        frame[at] = 0
    prepare(world, frame)
    found = Interleaver(
        world,
        list(enumerate(actors(base))),
        lambda state, core: judge(state, Plain(state.arena, base)),
        deaths,
        (),
    )
    found.first.ends = frozenset(range(base, base + WORDS))
    return found
