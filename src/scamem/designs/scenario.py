"""Scenarios: lists of steps, run against any design until the first step that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .design import Design
from .paths import Kernel
from .topology import Topology
from .verdicts import BrokenError, NotApplicableError, Outcome, UnsupportedError, Verdict

Act = Callable[[Kernel], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its text, what it does, and whether the scenario is about something later.

    A design that fails a `needed` step cannot come to the point of the scenario, which is
    then not applicable (another scenario is about that step); any other failing is a failure.
    """

    text: str
    act: Act
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A path of KERNEL.md's list, acted out."""

    name: str
    path: str
    title: str
    steps: tuple[Step, ...]
    topology: Callable[[Design], Topology | None] = lambda _: None

    def play(self, design: Design) -> Verdict:
        """Run the steps until the first one that fails."""
        try:
            kernel = Kernel(design, self.topology(design))
        except NotApplicableError as absent:
            return self._verdict(design, "n/a", "", "0: the machine", absent.text, [])
        trace: list[str] = []
        for number, step in enumerate(self.steps, 1):
            where = f"{number}: {step.text}"
            trace.append(f"step {where}")
            kernel.trace = []
            ending = _try(step, kernel)
            trace += [f"    {line}" for line in kernel.trace]
            if ending:
                outcome, kind, reason = ending
                return self._verdict(design, outcome, kind, where, reason, trace)
        return self._verdict(design, "pass", "", "", "", trace)

    def _verdict(
        self, design: Design, outcome: Outcome, kind: str, step: str, reason: str, trace: list[str]
    ) -> Verdict:
        if outcome != "pass":
            trace.append(f"  {outcome}: {kind + ': ' if kind else ''}{reason}")
        return Verdict(design.name, self.name, self.path, outcome, kind, step, reason, tuple(trace))


def _try(step: Step, kernel: Kernel) -> tuple[Outcome, str, str] | None:
    """How a step ends the scenario, None if it does not."""
    try:
        step.act(kernel)
    except NotApplicableError as absent:
        return "n/a", "", absent.text
    except UnsupportedError as refusal:
        kind, reason = "unsupported", refusal.text
    except BrokenError as broken:
        kind, reason = broken.kind, broken.text
    else:
        return None
    if step.needed:
        return "n/a", "", f"does not come so far: {kind}: {reason}"
    return "fail", kind, reason


def needed(step: Step) -> Step:
    """The same step, on the way to the point of the scenario."""
    return Step(step.text, step.act, needed=True)
