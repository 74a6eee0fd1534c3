"""Measure many short runs: median and spread, wall time and process time."""

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
    benchmark, what, who : the benchmark, its case, and the library.
    median, low, high : of the runs; low and high leave out a tenth at each end.
    unit : "s", "bytes", "bytes/frame" or "x" (a ratio).
    cpu : median of the process's own seconds, if they were measured.
    budget : the design's upper limit; with `at_least` a lower limit.
    note : a remark; with `runs` 0, why nothing was measured.
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
        """Return measured / budget; at most 1 is within it (with `at_least`: at least 1)."""
        if not self.budget or not self.runs:
            return None
        return self.median / self.budget

    @property
    def within(self) -> bool | None:
        """Return whether the budget was kept; None without a budget."""
        if self.ratio is None:
            return None
        return self.ratio >= 1 if self.at_least else self.ratio <= 1


@dataclass
class Report:
    """The results so far; `quick` means small sizes and few runs."""

    quick: bool = False
    results: list[Result] = field(default_factory=list)
    benchmark: str = ""

    def runs(self, count: int) -> int:
        """Return the number of runs."""
        return 3 if self.quick else count

    def loops(self, count: int) -> int:
        """Return the number of operations in a run."""
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
        """Add a line with a measurement."""
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
        """Add a line that says why nothing was measured."""
        self.results.append(Result(self.benchmark, what, who, note=why))


def middle(values: Iterable[float]) -> tuple[float, float, float]:
    """Return the median, and the values at a tenth from each end."""
    ordered = sorted(values)
    edge = len(ordered) // 10
    return statistics.median(ordered), ordered[edge], ordered[-1 - edge]


def measure(operation: Callable[[int], object], loops: int, runs: int) -> Timing:
    """Time `operation(loops)`, which repeats something; return the seconds for one repetition."""
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
