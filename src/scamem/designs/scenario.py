"""Scenarios: lists of steps, run against any design until the first step that fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .design import Design
from .paths import Kernel
from .topology import Topology
from .verdicts import BrokenError, Kind, NotApplicableError, Outcome, UnsupportedError, Verdict

Act = Callable[[Kernel], None]
Ending = tuple[Outcome, Kind | Literal[""], str]


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
            trace += [f"    {line}" for line in folded(kernel.trace)]
            if ending:
                outcome, kind, reason = ending
                return self._verdict(design, outcome, kind, where, reason, trace)
        return self._verdict(design, "pass", "", "", "", trace)

    def _verdict(
        self,
        design: Design,
        outcome: Outcome,
        kind: Kind | Literal[""],
        step: str,
        reason: str,
        trace: list[str],
    ) -> Verdict:
        if outcome != "pass":
            trace.append(f"  {outcome}: {kind + ': ' if kind else ''}{reason}")
        return Verdict(design.name, self.name, self.path, outcome, kind, step, reason, tuple(trace))


def _try(step: Step, kernel: Kernel) -> Ending | None:
    """How a step ends the scenario, None if it does not."""
    try:
        step.act(kernel)
    except NotApplicableError as absent:
        return "n/a", "", absent.text
    except UnsupportedError as refusal:
        kind: Kind = "unsupported"
        reason = refusal.text
    except BrokenError as broken:
        kind, reason = broken.kind, broken.text
    else:
        return None
    if step.needed:
        return "n/a", "", f"does not come so far: {kind}: {reason}"
    return "fail", kind, reason


FOLDED_MIN = 3
_COUNTED = re.compile(r"^(.*) frame (\d+): (.*) refcount (\d+) -> (\d+)$")


def folded(lines: Sequence[str]) -> list[str]:
    """A trace's lines with neighbours joined that do the same to frame after frame."""
    found: list[tuple[tuple[str, str], list[str], str]] = []
    for line in lines:
        match = _COUNTED.match(line)
        who = (match[1], match[3]) if match else (line, "")
        if match and found and found[-1][0] == who and found[-1][1]:
            found[-1][1].append(line)
        else:
            found.append((who, [line] if match else [], line))
    return [line for who, lines, plain in found for line in (_joined(who, lines) or [plain])]


def _joined(who: tuple[str, str], lines: list[str]) -> list[str]:
    counts = [match for match in map(_COUNTED.match, lines) if match]
    if len(counts) < FOLDED_MIN:
        return lines
    first, last = counts[0], counts[-1]
    told = f"{who[0]} {len(lines)} frames, {first[2]} to {last[2]}: {who[1]}"
    return [f"{told} refcount {first[4]} -> {last[5]}"]


def needed(step: Step) -> Step:
    """The same step, on the way to the point of the scenario."""
    return Step(step.text, step.act, needed=True)
