"""The designs of the scamem thread as executable models of page metadata.

Each design is a set of answers (`Rules`) and the structs that follow. Scenarios act out the
kernel's paths step by step; a verdict is how a run ended, never a constant. Nothing here is
the arena, and nothing here imports any of it.

    >>> from scamem.designs import design, scenario
    >>> scenario("gup-after-munmap").play(design("4b")).verdict
    'fail'
"""

from __future__ import annotations

from .catalogue import DESIGNS, ArenaLayout, design, designs
from .comparison import Comparison, compare
from .costs import AreaSize, Cost
from .design import Design
from .races import RACES, Race, search
from .remedies import Remedy, remedies
from .rules import Rules
from .scenario import Scenario, Step
from .scenarios import SCENARIOS, scenario, verdicts
from .verdicts import Verdict

__all__ = [
    "DESIGNS",
    "RACES",
    "SCENARIOS",
    "AreaSize",
    "ArenaLayout",
    "Comparison",
    "Cost",
    "Design",
    "Race",
    "Remedy",
    "Rules",
    "Scenario",
    "Step",
    "Verdict",
    "compare",
    "design",
    "designs",
    "remedies",
    "scenario",
    "search",
    "verdicts",
]
