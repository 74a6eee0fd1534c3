"""Measuring: many short runs, their median and spread, wall time and the process's own."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

OURS = "scamem"


@dataclass(frozen=True)
class Timing:
    """Seconds an operation took in each run; `cpu` is the process's own time."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...] = ()


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes
    ----------
    benchmark, what, who : which benchmark, which case of it, and who was measured.
    median, low, high : of the runs; low and high leave a tenth out at each end.
    unit : "s", "bytes", "bytes/frame" or "x" (a ratio).
    cpu : median of the process's own seconds, where it was taken.
    budget : what the design allows; `at_least` turns it around.
    note : what else is to be said; with `runs` 0 it says why nothing was measured.
    """

    benchmark: str
    what: str
    who: str
    unit: str = "s"
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    runs: int = 0
    cpu: float | None = None
    budget: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured over budget; at most 1 is within it (at least 1 with `at_least`)."""
        if not self.budget or not self.runs:
            return None
        return self.median / self.budget

    @property
    def within(self) -> bool | None:
        """Whether the budget was kept; None without one."""
        if self.ratio is None:
            return None
        return self.ratio >= 1 if self.at_least else self.ratio <= 1


@dataclass
class Report:
    """Results as they come; `quick` asks for small sizes and few runs."""

    quick: bool = False
    results: list[Result] = field(default_factory=list)
    benchmark: str = ""

    def runs(self, count: int) -> int:
        """Return how many runs to make."""
        return 3 if self.quick else count

    def loops(self, count: int) -> int:
        """Return how many operations a run has."""
        return max(1, count // 50) if self.quick else count

    def add(
        self,
        what: str,
        values: Timing | Sequence[float],
        *,
        who: str = OURS,
        unit: str = "s",
        budget: float | None = None,
        at_least: bool = False,
        note: str = "",
    ) -> Result:
        """Add a line for what was measured."""
        wall = values.wall if isinstance(values, Timing) else tuple(values)
        cpu = values.cpu if isinstance(values, Timing) else ()
        median, low, high = middle(wall)
        made = Result(
            benchmark=self.benchmark,
            what=what,
            who=who,
            unit=unit,
            median=median,
            low=low,
            high=high,
            runs=len(wall),
            cpu=statistics.median(cpu) if cpu else None,
            budget=budget,
            at_least=at_least,
            note=note,
        )
        self.results.append(made)
        return made

    def missing(self, what: str, who: str, why: str) -> None:
        """Add a line for what was not measured, and why."""
        self.results.append(Result(self.benchmark, what, who, note=why))


def middle(values: Iterable[float]) -> tuple[float, float, float]:
    """Return the median, and the values a tenth from each end."""
    ordered = sorted(values)
    edge = len(ordered) // 10
    return statistics.median(ordered), ordered[edge], ordered[-1 - edge]


def measure(operation: Callable[[int], object], loops: int, runs: int) -> Timing:
    """Time `operation(loops)`, which does something that many times; seconds for one of them."""
    wall, cpu = [], []
    operation(max(1, loops // 10))
    gc.collect()
    gc.disable()
    try:
        for _ in range(runs):
            own = time.process_time_ns()
            start = time.perf_counter_ns()
            operation(loops)
            wall.append((time.perf_counter_ns() - start) / loops / 1e9)
            cpu.append((time.process_time_ns() - own) / loops / 1e9)
    finally:
        gc.enable()
    return Timing(tuple(wall), tuple(cpu))
