"""What would mend a failing verdict: every other single answer of the design is tried.

Nothing here knows what helps; a remedy is an answer under which the model passes. What the
same answer breaks elsewhere is counted by running everything again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .design import Design
from .scenarios import SCENARIOS, Play

# answers that describe another machine or another history, and are no choice of a design
NOT_CHOICES = {"pure_sections", "mapcount", "memory=permanent", "word=struct page"}


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change of answers that turns a failure into a pass, and what else it changes."""

    changes: tuple[tuple[str, object], ...]
    mends: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(f"{rule}={value}" for rule, value in self.changes)


def choices(design: Design) -> list[tuple[str, object]]:
    """The single answers that a design could give instead of its own."""
    return [
        (rule, value)
        for rule, value in design.rules.flips()
        if rule not in NOT_CHOICES and f"{rule}={value}" not in NOT_CHOICES
    ]


def remedies(play: Play, design: Design, changes: int = 1) -> list[Remedy]:
    """All ways to pass with at most so many changed answers, the fewest that work."""
    for size in range(1, changes + 1):
        found = [
            Remedy(combination)
            for combination in itertools.combinations(choices(design), size)
            if _distinct(combination) and passes(play, design.with_rules(**dict(combination)))
        ]
        if found:
            return found
    return []


def passes(play: Play, design: Design) -> bool:
    """Whether a design passes, with combinations that the model cannot build counted as no."""
    return play.play(design).verdict == "pass"


def side_effects(design: Design, found: Iterable[Remedy]) -> list[Remedy]:
    """Each remedy with all scenarios that it mends and that it breaks."""
    before = outcomes(design, SCENARIOS)
    rows = []
    for remedy in found:
        after = outcomes(design.with_rules(**dict(remedy.changes)), SCENARIOS)
        mends = tuple(n for n in before if before[n] == "fail" and after[n] == "pass")
        breaks = tuple(n for n in before if before[n] != "fail" and after[n] == "fail")
        rows.append(Remedy(remedy.changes, mends, breaks))
    return rows


def outcomes(design: Design, plays: Sequence[Play]) -> dict[str, str]:
    """Verdict of each scenario by its name."""
    return {play.name: play.play(design).verdict for play in plays}


def _distinct(combination: tuple[tuple[str, object], ...]) -> bool:
    return len({rule for rule, _ in combination}) == len(combination)
