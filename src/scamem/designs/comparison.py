"""Everything of one comparison, gathered once: verdicts, costs, and what they were counted on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from . import costs, timing
from .costs import Cost
from .design import Design
from .kernel.snapshot import Snapshot
from .scenarios import SCENARIOS, verdicts
from .verdicts import Verdict

QUICK_SIZES = (64, 4096)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Designs, their verdicts and their costs on one machine."""

    designs: tuple[Design, ...]
    verdicts: tuple[Verdict, ...]
    costs: tuple[Cost, ...]
    snapshot: Snapshot

    def verdict(self, scenario: str, design: str) -> Verdict:
        """One cell. Raises LookupError if there is none."""
        for cell in self.verdicts:
            if (cell.scenario, cell.design) == (scenario, design):
                return cell
        raise LookupError(f"no verdict of {design} in {scenario}")

    def tally(self, design: str) -> dict[str, int]:
        """How many of each verdict a design has."""
        cells = [cell.verdict for cell in self.verdicts if cell.design == design]
        return {outcome: cells.count(outcome) for outcome in ("pass", "fail", "n/a")}

    def value(self, design: str, quantity: str, unit: str = "") -> float | None:
        """One figure, None where it was not counted."""
        for cost in self.costs:
            if (cost.design, cost.quantity) == (design, quantity) and unit in ("", cost.unit):
                return cost.value
        return None

    def as_json(self) -> dict[str, object]:
        """The whole comparison for --json."""
        return {
            "machine": {
                "name": self.snapshot.name,
                "kernel": self.snapshot.kernel,
                "made_up": self.snapshot.made_up,
                "unseen": self.snapshot.unseen,
            },
            "designs": [
                {
                    "design": design.name,
                    "title": design.title,
                    "source": design.source,
                    "rules": dataclasses.asdict(design.rules),
                    "structs": [struct.pahole() for struct in design.structs()],
                }
                for design in self.designs
            ],
            "scenarios": [
                {"scenario": play.name, "path": play.path, "title": play.title}
                for play in SCENARIOS
            ],
            "verdicts": [cell.as_json() for cell in self.verdicts],
            "costs": [cost.as_json() for cost in self.costs],
        }


def compare(
    designs: Sequence[Design], snapshot: Snapshot, sizes: Sequence[int] = QUICK_SIZES
) -> Comparison:
    """Run every scenario, count every cost, measure for objects of `sizes` pages.

    A snapshot without zones (none should be) leaves out what needs a machine's memory.
    """
    rows: list[Cost] = []
    areas = snapshot.area_sizes()
    if snapshot.zones:
        topology = snapshot.topology()
        rows += costs.machine_costs(designs, areas, topology, snapshot.name)
        rows += costs.table_sizes(topology, snapshot.name)
    for design in designs:
        rows += costs.growth_by_object(design)
        rows += costs.growth_by_memory(design)
    if sizes:
        rows += timing.time_designs(designs, sizes)
        rows += timing.time_tables()
    return Comparison(tuple(designs), tuple(verdicts(designs)), tuple(rows), snapshot)
