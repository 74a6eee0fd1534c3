"""Show results as tables, and write them to a file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .harness import Result

STEPS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
MEBIBYTE = 1 << 20


def text_of(value: float, unit: str) -> str:
    """Return a value in a readable unit."""
    if unit == "s":
        size, name = next((step for step in STEPS if abs(value) >= step[0]), STEPS[-1])
        return f"{value / size:.3g} {name}"
    if unit == "bytes":
        return f"{value / MEBIBYTE:.4g} MiB" if value >= MEBIBYTE else f"{value:,.0f} B"
    if unit == "%":
        return f"{value:.1f} %"
    return f"{value:.3g} {unit}"


def table_of(results: Sequence[Result], title: str) -> Table:
    """Return the table of one benchmark."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("what", "who", "median", "10 % to 90 %", "runs", "own CPU", "budget", "ratio"):
        right = name not in ("what", "who")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    table.add_column("note", overflow="fold")
    for result in results:
        table.add_row(*cells(result))
    return table


def cells(result: Result) -> list[str]:
    """Return the cells of a line."""
    if not result.runs:
        return [result.what, result.who, "-", "-", "0", "-", "-", "-", result.note]
    spread = f"{text_of(result.low, result.unit)} to {text_of(result.high, result.unit)}"
    budget, ratio = "", ""
    if result.budget is not None and result.ratio is not None:
        sign = ">=" if result.at_least else "<="
        budget = f"{sign} {text_of(result.budget, result.unit)}"
        style = "green" if result.within else "red"
        ratio = f"[{style}]{result.ratio:.2f}[/]"
    return [
        result.what,
        result.who,
        text_of(result.median, result.unit),
        spread if result.runs > 1 else "",
        str(result.runs),
        "" if result.cpu is None else text_of(result.cpu, "s"),
        budget,
        ratio,
        result.note,
    ]


def show(console: Console, results: Sequence[Result]) -> None:
    """Print a table for each benchmark, in the order in which they ran."""
    for name in dict.fromkeys(result.benchmark for result in results):
        console.print(table_of([one for one in results if one.benchmark == name], name))


def write(path: Path, facts: dict[str, str], results: Sequence[Result]) -> None:
    """Write all results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {**dataclasses.asdict(result), "ratio": result.ratio, "within": result.within}
        for result in results
    ]
    path.write_text(json.dumps({"machine": facts, "results": rows}, indent=1) + "\n")
