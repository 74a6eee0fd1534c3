"""What actors do, in phases, each of which calls the core's own procedures.

Membership's loop of looks and naps, which checks for signals in between, is split into phases here,
since Python may run between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scamem.core.store import layout as L
from tests.explore.arena import Violation
from tests.explore.steps import Run

Next = tuple[str | None, Any]
LIMIT_NS = 10 * L.NS_PER_S


def enter(run: Run, phase: str, local: Any, then: str) -> Next:
    """Phases "", "look" and "nap": take both locks, waiting for the arena's."""
    waiting = run.core.waiting
    if phase == "":
        status = run.core.entering.enter(run.arena, run.mine)
        if status == L.BUSY:
            watch = [0] * L.WATCH_WORDS
            waiting.begin(watch, LIMIT_NS)
            return "look", tuple(watch)
    elif phase == "nap":
        waiting.nap(run.arena, local)
        return "look", local
    else:
        watch = list(local)
        status = waiting.look(run.arena, run.mine, watch)
        if status == L.BUSY:
            return "nap", tuple(watch)
    if status != L.OK:
        raise Violation(f"result: entering gave {status:#x}")
    return then, None


@dataclass(frozen=True)
class Locked:
    """One critical section."""

    body: Callable[[Run], Any]

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "body":
            self.body(run)
            run.core.entering.leave(run.arena, run.mine)
            return None, None
        return enter(run, phase, local, "body")


@dataclass(frozen=True)
class GivesUp:
    """A wait for the lock that a signal ends after the first nap."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "leave":
            run.core.entering.leave(run.arena, run.mine)
            return None, None
        if phase == "give up":
            run.core.waiting.give_up(run.arena, run.mine)
            return None, None
        after, known = enter(run, phase, local, "leave")
        return ("give up" if phase == "nap" else after), known


@dataclass(frozen=True)
class Plain:
    """One action without the arena's lock."""

    body: Callable[[Run], Any]

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        self.body(run)
        return None, None


@dataclass(frozen=True)
class LetGo:
    """Let go of an object once, without waiting."""

    obj: int
    by: int = L.BY_HAND

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        run.core.letting_go.let_go(run.arena, run.mine, self.obj, self.by)
        return None, None
