"""A process migrates an object while another of its threads maps it, writes, and unmaps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.actors import Next
from tests.explore.arena import Violation
from tests.explore.interpreted import Core
from tests.explore.steps import Interleaver, Operation, Run, State
from tests.explore.world import new_world

# The content of the old and the new frames, and which of them the object has: private words.
OLD, NEW, SHOWN = L.MINE_DESCRIPTION, L.MINE_DESCRIPTION + 1, L.MINE_DESCRIPTION + 2


def inside(run: Run, transaction: Any, *args: int) -> int:
    """Run a transaction with both locks, as Member's begin and end do; nobody else wants them."""
    S.must(run.core.lock.try_lock(run.arena, run.process.slot), L.OK)
    status = int(transaction(run.arena, run.mine, *args))
    run.core.hold.leave(run.arena, run.mine)
    return status


@dataclass(frozen=True)
class Migrate:
    """Mark, copy, exchange; the copy is already MOVING and described."""

    obj: int
    copy: int

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        move = run.core.move
        if phase in ("", "exchange"):
            run.lock_local()
            return ("mark" if phase == "" else "exchanged"), None
        if phase == "mark":
            generation = run.core.objects.generation(run.arena, run.mine, self.obj)
            status = inside(run, move.mark, self.obj, generation)
            return "unlock", ("copy" if status == L.OK else None)
        if phase == "copy":
            run.mine[NEW] = run.mine[OLD]
            return "exchange", None
        if phase == "exchanged":
            if inside(run, move.exchange, self.obj, self.copy) == L.OK:
                run.mine[SHOWN] = 1
            return "unlock", None
        run.unlock_local()
        return local, None


@dataclass(frozen=True)
class MapAndWrite:
    """Another thread maps, writes to the frames that the object has then, and unmaps."""

    obj: int

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        hold = run.core.hold
        if phase in ("", "again"):
            run.lock_local()
            return ("add" if phase == "" else "subtract"), local
        if phase == "add":
            S.must(hold.add(run.arena, run.mine, self.obj, L.BY_MAPPING), L.OK)
            return "unlock", "look"
        if phase == "look":
            return "write", run.mine[SHOWN]
        if phase == "write":
            run.mine[NEW if local else OLD] = 1
            return "again", None
        if phase == "subtract":
            S.must(hold.subtract(run.arena, run.mine, self.obj, L.BY_MAPPING), 0)
            return "unlock", None
        run.unlock_local()
        return local, None


def written(state: State, core: Core) -> None:
    """Check that what the thread wrote is in the frames that the object has."""
    mine = state.processes[0].mine
    if mine[NEW if mine[SHOWN] else OLD] != 1:
        raise Violation("lost: what a thread wrote while the object was migrated")


def migrated(core: Core) -> Interleaver:
    """In every order, no write is lost, whether the exchange is refused or not."""
    world = new_world(core, members=1)
    (a,) = world.members
    obj, copy = S.small(world, a), S.small(world, a)
    S.must(world.run(a, core.move.begin, copy, S.generation(world, copy)), L.OK)
    S.must(world.alone(a, core.move.describe, copy, obj), L.OK)
    actors: list[tuple[int, list[Operation]]] = [
        (0, [Migrate(obj, copy)]),
        (0, [MapAndWrite(obj)]),
    ]
    return Interleaver(world, actors, written, 0, {L.LOCK})
