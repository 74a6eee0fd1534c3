"""What a scenario ends with, and the signals by which the model says that something is wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "use after free",
    "double free",
    "leak",
    "wrong node",
    "wrong zone",
    "wrong object",
    "wrong answer",
    "wrong type",
    "unsupported",
    "held too much",
    "undercharged",
    "refused late",
]
LEGEND_COLUMNS = 78
Outcome = Literal["pass", "fail", "n/a"]

# one letter a kind, so that a table of all designs is narrower than 80 columns
LETTERS: dict[Kind, str] = {
    "use after free": "U",
    "double free": "D",
    "leak": "L",
    "wrong node": "N",
    "wrong zone": "Z",
    "wrong object": "O",
    "wrong answer": "A",
    "wrong type": "T",
    "undercharged": "C",
    "held too much": "H",
    "refused late": "R",
    "unsupported": "X",
}
# kinds by which nobody is harmed: the design says no (late, or at once), or keeps more than it need
HARMLESS: tuple[Kind, ...] = ("unsupported", "held too much", "refused late")


class ModelSignalError(Exception):
    """Base of the signals; never leaves :mod:`scamem.designs`."""


class WaitingError(ModelSignalError):
    """A CPU cannot take its next step yet; this order of steps does not happen."""


class BrokenError(ModelSignalError):
    """The machine was harmed, or a check of a scenario did not hold."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind: Kind = kind
        self.text = text


class UnsupportedError(ModelSignalError):
    """The design has no way to do what the step asks, and says so before any harm is done."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class NotApplicableError(ModelSignalError):
    """The step asks about something that this design does not have at all."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Verdict:
    """One cell of the table.

    `step` is "number: text" of the step that decided, empty for a pass; `trace` is what
    happened, line by line, up to there.
    """

    design: str
    scenario: str
    path: str
    verdict: Outcome
    kind: Kind | Literal[""] = ""
    step: str = ""
    reason: str = ""
    trace: tuple[str, ...] = field(default=(), repr=False)

    @property
    def mark(self) -> str:
        """The cell in one character: "." for a pass, "-" for n/a, else its kind's letter."""
        if self.kind:
            return LETTERS[self.kind]
        return "." if self.verdict == "pass" else "-"

    @property
    def harms(self) -> bool:
        """Whether it fails in a way that hurts somebody, rather than by refusing."""
        return self.verdict == "fail" and self.kind not in HARMLESS

    def as_json(self) -> dict[str, str]:
        """The cell as the command line writes it with --json."""
        return {
            "design": self.design,
            "scenario": self.scenario,
            "path": self.path,
            "verdict": self.verdict,
            "kind": self.kind,
            "step": self.step,
            "reason": self.reason,
        }


def counted(number: int, noun: str) -> str:
    """1 frame, 2 frames."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def legend(cells: Iterable[Verdict]) -> list[str]:
    """What the marks of these cells mean, in lines for a terminal."""
    used = {cell.kind for cell in cells}
    items = [". pass", "- n/a"]
    items += [f"{letter} {kind}" for kind, letter in LETTERS.items() if kind in used]
    whole = ", ".join(item.replace(" ", "_") for item in items)
    return [line.replace("_", " ") for line in textwrap.wrap(whole, LEGEND_COLUMNS)]
