"""Locks, semaphores, conditions, barriers, events, updates: every order of steps, with deaths."""

from __future__ import annotations

from typing import Any

from scamem.core.store import layout as L
from scamem.core.sync import places as P
from tests.explore.arena import Violation
from tests.explore.interpreted import Core
from tests.explore.steps import Interleaver, Operation, Run, State
from tests.explore.sync_actors import (
    ENTRIES,
    INSIDE,
    Await,
    Guarded,
    Meet,
    Permit,
    Plain,
    Read,
    Sleep,
    Take,
    Write,
    scene,
)
from tests.explore.world import World


def is_dead(state: State, who: int) -> bool:
    return not any(p.alive and p.slot == who & L.MASK_16 for p in state.processes)


def lock_is_free(state: State, frame: Any) -> None:
    """Nobody alive has the lock in the end."""
    holder = frame[P.MUTEX] & ~P.MUTEX_FLAGS
    if holder and not is_dead(state, holder):
        raise Violation("lock: it is held, and everybody has released it")


def table_is_empty(state: State, frame: Any) -> None:
    """No entry of a living member is left, and nobody alive has the guard."""
    guard = frame[P.GUARD] & ~P.MUTEX_FLAGS
    if guard and not is_dead(state, guard):
        raise Violation("lock: the guard is held in the end")
    for entry in range(ENTRIES):
        who = frame[P.ENTRIES + P.ENTRY_WORDS * entry]
        if who and not is_dead(state, who):
            raise Violation(f"entry: {entry} is left over")


def locks(core: Core, members: int = 2, deaths: int = 1, times: int = 1) -> Interleaver:
    """Several take one lock."""
    return scene(core, members, lambda base: [[Take(base)] * times] * members, lock_is_free, deaths)


def given_up(core: Core, deaths: int = 0) -> Interleaver:
    """One of three gives up waiting: the others get its wake, and are not kept out."""

    def actors(base: int) -> list[list[Operation]]:
        return [[Take(base)], [Take(base, gives_up=True)], [Take(base)]]

    return scene(core, 3, actors, lock_is_free, deaths)


def permits(core: Core, members: int = 2, value: int = 1, deaths: int = 1) -> Interleaver:
    """Several take a permit of a semaphore."""

    def prepare(world: World, frame: Plain) -> None:
        frame[P.VALUE] = value

    return scene(
        core, members, lambda base: [[Permit(base)]] * members, table_is_empty, deaths, prepare
    )


def readers_and_writers(
    core: Core, writers: int = 1, readers: int = 1, deaths: int = 1, gives_up: bool = False
) -> Interleaver:
    """Writers exclude all others; what a dead writer left is told to the next."""

    def prepare(world: World, frame: Plain) -> None:
        frame[P.VALUE] = P.UNITS_ALL

    def actors(base: int) -> list[list[Operation]]:
        write: list[Operation] = [Permit(base, P.UNITS_ALL, 7, gives_up)]
        read: list[Operation] = [Permit(base, 1, 7)]
        return [write] * writers + [read] * readers

    return scene(core, writers + readers, actors, table_is_empty, deaths, prepare)


def sleeping(core: Core, deaths: int = 1) -> Interleaver:
    """Two sleep, one is notified. If it dies, the other one gets the notification."""

    def prepare(world: World, frame: Plain) -> None:
        for member in world.members[:2]:
            me = core.alive.claim(member.mine)
            watch = [0] * P.WATCH_WORDS
            core.sleepers.sleep(frame, world.arena, member.mine, me, watch)

    def notify(run: Run, frame: Any, me: int, watch: list[int]) -> int:
        return int(run.core.sleepers.notify(frame, run.arena, run.mine, me, 1, watch))

    def actors(base: int) -> list[list[Operation]]:
        return [[Sleep(base, 0)], [Sleep(base, 1)], [Guarded(base, notify)]]

    found = scene(core, 3, actors, lambda state, frame: None, deaths, prepare)

    def may_wait(state: State) -> bool:
        """One sleeper may, if the other one was notified and lived; both, if nobody notified."""
        alive = [process.alive for process in state.processes]
        return not alive[2] or (all(alive) and any(actor.done for actor in state.actors[:2]))

    found.may_wait = may_wait
    return found


def meeting(core: Core, parties: int = 2, deaths: int = 1) -> Interleaver:
    """All parties get through; or one dies, and those that wait for it are told."""

    def prepare(world: World, frame: Plain) -> None:
        frame[P.VALUE] = parties

    def judge(state: State, frame: Any) -> None:
        results = [frame[INSIDE + k] for k in range(parties)]
        if all(p.alive for p in state.processes) and results != [1] * parties:
            raise Violation(f"barrier: nobody died, and the parties got {results}")
        table_is_empty(state, frame)

    found = scene(core, parties, lambda base: [[Meet(base)]] * parties, judge, deaths, prepare)

    def may_wait(state: State) -> bool:
        """Parties wait on if one died before it arrived."""
        arrived = [state.arena[base + P.ENTRIES + P.ENTRY_WORDS * k] for k in range(ENTRIES)]
        return all(p.alive for p in state.processes) is False and not any(
            who and is_dead(state, who) for who in arrived
        )

    base = min(found.first.ends)
    found.may_wait = may_wait
    return found


def event(core: Core, deaths: int = 1) -> Interleaver:
    """Two wait for an event, one sets it and clears it at once."""

    def set_and_clear(run: Run, frame: Any, me: int, watch: list[int]) -> int:
        run.core.flag.raise_it(frame)
        run.core.flag.lower(frame)
        return L.OK

    def actors(base: int) -> list[list[Operation]]:
        return [[Await(base)], [Guarded(base, set_and_clear)]]

    found = scene(core, 2, actors, deaths=deaths)
    base = min(found.first.ends)

    def may_wait(state: State) -> bool:
        """A waiter that came after the event was cleared waits on."""
        waiter = state.actors[0]
        seen = waiter.local[P.WATCH_RESULT] if waiter.local else None
        return seen == state.arena[base + P.FLAG]

    found.may_wait = may_wait
    return found


def updates(core: Core, writers: int = 1, deaths: int = 1, claims: bool = False) -> Interleaver:
    """Some write in place, one reads: never a part."""

    def actors(base: int) -> list[list[Operation]]:
        writing: list[list[Operation]] = [[Write(base, number + 1)] for number in range(writers)]
        return [*writing, [Read(base, claims)]]

    return scene(core, writers + 1, actors, deaths=deaths)
