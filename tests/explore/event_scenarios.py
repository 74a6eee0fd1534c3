"""Waiting for an event: no wake is lost, whichever member dies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scamem.core.store import layout as L
from tests.explore.actors import Locked, Next, enter
from tests.explore.interpreted import Core
from tests.explore.step_scenarios import nothing, settled
from tests.explore.steps import SHARED, Interleaver, Operation, Run
from tests.explore.world import new_world


@dataclass(frozen=True)
class AwaitName:
    """Wait for an event until its counter has changed, as a waiter for a name does."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        at = L.EVENTS + L.EVENT_AREAS
        if phase == "read":
            seen = run.arena[at]
            run.core.entering.leave(run.arena, run.mine)
            return (None if seen else "announce"), seen
        if phase == "announce":
            run.core.events.announce(run.arena, L.EVENT_AREAS)
            return "sleep", local
        if phase == "sleep":
            run.arena.futex_wait(at, local, L.NAP_NS)
            return "", None
        return enter(run, phase, local, "read")


def post(run: Run) -> None:
    run.core.events.post(run.arena, L.EVENT_AREAS)


def awaited(core: Core, deaths: int = 0) -> Interleaver:
    """One waits for an event, another posts it; after a death, a third takes over and posts."""
    world = new_world(core, members=3)
    bits = L.EVENTS_AWAITED + (L.EVENT_AREAS >> L.EVENTS_SHIFT)
    actors: list[tuple[int, list[Operation]]] = [(0, [AwaitName()]), (1, [Locked(post)])]
    if deaths:
        actors.append((2, [Locked(post)]))
    racy = {L.LOCK, bits, L.EVENTS + L.EVENT_AREAS}
    return Interleaver(world, actors, settled(world), deaths, racy)


@dataclass(frozen=True)
class Sleep:
    """Nap on an announced event, until woken once."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        run.arena.futex_wait(L.EVENTS + L.EVENT_AREAS, 0, L.NAP_NS)
        return None, None


def left_waiting(core: Core) -> Interleaver:
    """A member died with the lock before it posted; the member that takes over wakes its waiter."""
    world = new_world(core, members=3)
    world.enter(world.members[1])
    core.events.announce(world.arena, L.EVENT_AREAS)
    world.members[1].alive = False
    actors: list[tuple[int, list[Operation]]] = [(0, [Sleep()]), (2, [Locked(nothing)])]
    found = Interleaver(world, actors, settled(world), 0, {L.LOCK})
    found.first.naps = ((0, SHARED, L.EVENTS + L.EVENT_AREAS),)  # it is already napping
    found.first.actors[0].log = (True,)
    return found
