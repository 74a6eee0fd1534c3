"""What a scenario ends with, and the signals by which the model says that something is wrong."""

from __future__ import annotations

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
]
Outcome = Literal["pass", "fail", "n/a"]


class ModelSignalError(Exception):
    """Base of the signals; never leaves :mod:`scamem.designs`."""


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
    kind: str = ""
    step: str = ""
    reason: str = ""
    trace: tuple[str, ...] = field(default=(), repr=False)

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
