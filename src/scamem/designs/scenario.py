"""Scenarios: lists of steps, run against any design until the first step that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .design import Design
from .paths import Kernel
from .topology import Topology
from .verdicts import BrokenError, NotApplicableError, UnsupportedError, Verdict

Act = Callable[[Kernel], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its text, what it does, and whether the scenario is about something later.

    A design that refuses a `needed` step cannot come to the point of the scenario, which is
    then not applicable; refusing any other step is a failure.
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
    topology: Callable[[Design], Topology | None] = lambda design: None

    def play(self, design: Design) -> Verdict:
        """Run the steps until the first one that fails."""
        kernel = Kernel(design, self.topology(design))
        trace: list[str] = []
        for number, step in enumerate(self.steps, 1):
            where = f"{number}: {step.text}"
            trace.append(f"step {where}")
            kernel.trace = []
            ending: tuple[str, str, str] | None = None
            try:
                step.act(kernel)
            except BrokenError as broken:
                ending = ("fail", broken.kind, broken.text)
            except UnsupportedError as refusal:
                ending = ("n/a" if step.needed else "fail", "unsupported", refusal.text)
            except NotApplicableError as absent:
                ending = ("n/a", "", absent.text)
            trace += [f"    {line}" for line in kernel.trace]
            if ending:
                outcome, kind, reason = ending
                trace.append(f"  {outcome}: {kind + ': ' if kind else ''}{reason}")
                return Verdict(
                    design.name,
                    self.name,
                    self.path,
                    "fail" if outcome == "fail" else "n/a",
                    kind if outcome == "fail" else "",
                    where,
                    reason,
                    tuple(trace),
                )
        return Verdict(design.name, self.name, self.path, "pass", trace=tuple(trace))


def needed(step: Step) -> Step:
    """The same step, on the way to the point of the scenario."""
    return Step(step.text, step.act, needed=True)
