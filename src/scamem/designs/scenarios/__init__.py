"""Every scenario and race, in the order of their paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..design import Design
from ..races import RACES
from ..verdicts import Verdict
from .mappings import MAPPINGS
from .pins import PINS
from .places import PLACES
from .upkeep import UPKEEP


class Play(Protocol):
    """What scenarios and races have in common."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def path(self) -> str:
        """P1 to P29."""

    @property
    def title(self) -> str:
        """What happens in it."""

    def play(self, design: Design) -> Verdict:
        """Run it against a design."""


def _number(play: Play) -> int:
    return int(play.path.removeprefix("P"))


_ALL: tuple[Play, ...] = (*PINS, *MAPPINGS, *PLACES, *UPKEEP, *RACES)
SCENARIOS: tuple[Play, ...] = tuple(sorted(_ALL, key=_number))


def scenario(name: str) -> Play:
    """A scenario or race by its name, or the first of a path (P1 to P29).

    Raises
    ------
    LookupError : names those that there are.
    """
    for play in SCENARIOS:
        if name in (play.name, play.path):
            return play
    known = ", ".join(play.name for play in SCENARIOS)
    raise LookupError(f"asked for scenario {name!r}; there are: {known}")


def verdicts(designs: Iterable[Design]) -> list[Verdict]:
    """Every scenario against every design: scenario by scenario."""
    kinds = list(designs)
    return [play.play(design) for play in SCENARIOS for design in kinds]
