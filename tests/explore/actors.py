"""What actors do, in phases, as arena/process.py does it: entering, leaving, letting go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scamem.core.store import layout as L
from tests.explore.steps import Run

Next = tuple[str | None, Any]


def enter(run: Run, phase: str, local: Any, then: str) -> Next:
    """Phases "" and "nap": take the arena's lock, waiting for it, taking it over from the dead."""
    lock = run.core.lock
    if phase == "nap":
        run.nap(local)
        if run.arena[L.LOCK] == local and not run.probe(lock.held_by(local)):
            if lock.take_over(run.arena, run.process.slot, local) == L.OK:
                return "recover", then
        return "", None
    if lock.try_lock(run.arena, run.process.slot) == L.OK:
        return then, None
    seen = run.arena[L.LOCK]
    if lock.held_by(seen) == 0 or not lock.announce_wait(run.arena, seen):
        return "", None
    return "nap", seen | L.LOCK_WAITERS


def leave(run: Run, phase: str) -> Next:
    """Phases "leave" and "again": unlock, coming back while there is more to drop."""
    if phase == "again" and run.core.lock.try_lock(run.arena, run.process.slot) != L.OK:
        return None, None
    if phase == "again":
        return "leave", None
    more = run.core.hold.leave(run.arena, run.mine) == L.MORE
    return ("again" if more else None), None


@dataclass(frozen=True)
class Locked:
    """One critical section."""

    body: Callable[[Run], Any]

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "recover":
            run.core.hold.recover_drain(run.arena, run.mine)
            return local, None
        if phase == "body":
            self.body(run)
            return "leave", None
        if phase in ("leave", "again"):
            return leave(run, phase)
        return enter(run, phase, local, "body")


@dataclass(frozen=True)
class Plain:
    """Something without the arena's lock."""

    body: Callable[[Run], Any]

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        self.body(run)
        return None, None


@dataclass(frozen=True)
class LetGo:
    """Let go of an object once, without a wait."""

    obj: int
    by: int = L.BY_HAND

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        lock, hold, slot = run.core.lock, run.core.hold, run.process.slot
        if phase == "":
            record = hold.subtract(run.arena, run.mine, self.obj, self.by)
            return ("put" if record else None), record
        if phase == "put":
            if lock.try_lock(run.arena, slot) != L.OK:
                return "defer", local
            hold.put_holder(run.arena, run.mine, local)
            return "free", None
        if phase == "free":
            while run.core.free.free_some(run.arena, run.mine) == L.MORE:
                pass
            return "leave", None
        if phase == "defer":
            hold.defer(run.arena, run.mine, local)
            return "again", None
        return leave(run, phase)
