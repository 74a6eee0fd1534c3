"""Waiting for items: no wake is lost, and each item wakes one waiter, whichever poster dies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore import queue_scenarios as Q
from tests.explore import scenarios as S
from tests.explore.actors import Locked, Next, enter
from tests.explore.arena import Violation
from tests.explore.interpreted import Core
from tests.explore.step_scenarios import nothing, settled
from tests.explore.steps import SHARED, Interleaver, Operation, Run
from tests.explore.world import World, new_world


def place_of(world: World, queue: int) -> int:
    return int(walk.place(world.members[0].mine, L.TABLE_QUEUES, queue))


@dataclass(frozen=True)
class Take:
    """Take an item, waiting for it as a consumer does."""

    queue: int
    place: int  # of its record

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        at = self.place + L.QUEUE_ITEMS_EVENT
        if phase == "take":
            status = run.core.dequeue.take(run.arena, run.mine, self.queue, 0)
            seen = run.arena[at]
            run.core.entering.leave(run.arena, run.mine)
            if status not in (L.OK, L.EMPTY, L.CLOSED):
                raise Violation(f"result: {status:#x} from a take")
            return ("announce", seen) if status == L.EMPTY else (None, None)
        if phase == "announce":
            run.core.queues.announce(run.arena, self.place, L.QUEUE_EVENT_ITEMS)
            return "sleep", local
        if phase == "sleep":
            run.arena.futex_wait(at, local, L.NAP_NS)
            return "", None
        return enter(run, phase, local, "take")


def putting(queue: int, times: int = 1) -> Any:
    def body(run: Run) -> None:
        run.mine[L.MINE_DESCRIPTION_BYTES] = L.WORD_BYTES
        for _ in range(times):
            S.must(run.core.enqueue.put(run.arena, run.mine, queue, Q.SMALL, 0), L.OK)

    return body


def closing(queue: int) -> Any:
    return lambda run: S.must(run.core.configure.close(run.arena, run.mine, queue), L.OK)


def handed_over(core: Core, consumers: int = 1) -> Interleaver:
    """Some wait for items, another puts as many, one after the other."""
    world = new_world(core, members=consumers + 1)
    queue = Q.make(world)
    place = place_of(world, queue)
    actors: list[tuple[int, list[Operation]]] = [
        (k, [Take(queue, place)]) for k in range(consumers)
    ]
    actors.append((consumers, [Locked(putting(queue)) for _ in range(consumers)]))
    racy = {L.LOCK, place + L.QUEUE_AWAITED, place + L.QUEUE_ITEMS_EVENT}
    return Interleaver(world, actors, settled(world), 0, racy)


def asleep(found: Interleaver, place: int, actors: int) -> Interleaver:
    """Let the first actors nap already, on the counter of items."""
    at = place + L.QUEUE_ITEMS_EVENT
    found.first.naps = tuple((k, SHARED, at) for k in range(actors))
    for actor in found.first.actors[:actors]:
        actor.phase = "sleep"
        actor.local = int(found.first.arena[at])
        actor.log = (True,)
    return found


def woken(core: Core, bodies: Any, times: int) -> Interleaver:
    """Two sleep until there are items; another does something, some times."""
    world = new_world(core, members=3)
    queue = Q.make(world)
    place = place_of(world, queue)
    core.queues.announce(world.arena, place, L.QUEUE_EVENT_ITEMS)
    actors: list[tuple[int, list[Operation]]] = [(k, [Take(queue, place)]) for k in range(2)]
    actors.append((2, [Locked(bodies(queue)) for _ in range(times)]))
    return asleep(Interleaver(world, actors, settled(world), 0, {L.LOCK}), place, 2)


def two_items(core: Core) -> Interleaver:
    """Two sleep; two items come, one after the other."""
    return woken(core, putting, 2)


def closed(core: Core) -> Interleaver:
    """Two sleep; the queue is closed."""
    return woken(core, closing, 1)


def napping(core: Core, poster: Any) -> Interleaver:
    """One waits already for an item; member 1 died where `poster` says; member 2 takes over."""
    world = new_world(core, members=3)
    queue = Q.make(world)
    place = place_of(world, queue)
    core.queues.announce(world.arena, place, L.QUEUE_EVENT_ITEMS)
    poster(world, queue)
    world.members[1].alive = False
    actors: list[tuple[int, list[Operation]]] = [
        (0, [Take(queue, place)]),
        (2, [Locked(nothing)]),
    ]
    return asleep(Interleaver(world, actors, settled(world), 0, {L.LOCK}), place, 1)


def left_asleep(core: Core) -> Interleaver:
    """The poster died between its commit and its wake."""

    def poster(world: World, queue: int) -> None:
        member, arena = world.members[1], world.arena
        world.enter(member)
        wake, core.queues.deliver = core.queues.deliver, lambda *args: None
        Q.stage(member, 1)
        S.must(core.enqueue.put(arena, member.mine, queue, Q.SMALL, 0), L.OK)
        core.queues.deliver = wake

    return napping(core, poster)
