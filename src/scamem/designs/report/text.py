"""The verdict table as plain text, for places without colours."""

from __future__ import annotations

from collections.abc import Sequence

from ..verdicts import Verdict, legend


def verdict_table(cells: Sequence[Verdict]) -> list[str]:
    """One line a scenario, one column a design, the sums, and what the marks mean."""
    names = list(dict.fromkeys(cell.design for cell in cells))
    rows = list(dict.fromkeys((cell.path, cell.scenario) for cell in cells))
    found = {(cell.scenario, cell.design): cell.mark for cell in cells}
    width = max(len(scenario) for _, scenario in rows)
    columns = [max(len(name), 2) for name in names]
    heads = " ".join(f"{name:<{size}}" for name, size in zip(names, columns, strict=True))
    lines = [f"{'path':<4} {'scenario':<{width}} {heads}".rstrip()]
    for path, scenario in rows:
        marks = " ".join(
            f"{found[scenario, name]:<{size}}" for name, size in zip(names, columns, strict=True)
        )
        lines.append(f"{path:<4} {scenario:<{width}} {marks}".rstrip())
    for outcome in ("pass", "fail", "n/a"):
        sums = " ".join(
            f"{sum(c.verdict == outcome and c.design == name for c in cells):<{size}}"
            for name, size in zip(names, columns, strict=True)
        )
        lines.append(f"{'':<4} {outcome + ', in all':<{width}} {sums}".rstrip())
    return [*lines, *legend(cells)]
