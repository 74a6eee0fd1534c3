"""`python -m benchmarks [NAME...] [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from . import machine, report
from .catalogue import BENCHMARKS
from .harness import Report


def arguments(given: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="small sizes, few runs: seconds")
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks/results.json"))
    found = parser.parse_args(given)
    unknown = [name for name in found.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    return found


def main(given: list[str] | None = None) -> int:
    """Run benchmarks, print the results, and write them to a file."""
    asked = arguments(given)
    console = Console() if sys.stdout.isatty() else Console(width=170)
    made = Report(quick=asked.quick)
    facts = machine.facts()
    for name in asked.names or BENCHMARKS:
        made.benchmark = name
        before = len(made.results)
        start = time.monotonic()
        BENCHMARKS[name](made)
        report.show(console, made.results[before:])
        console.print(f"[dim]{name}: {time.monotonic() - start:.1f} s[/]")
    facts["load afterwards"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
    for name, value in facts.items():
        console.print(f"{name}: {value}", highlight=False)
    missed = [one for one in made.results if one.within is False]
    for one in missed:
        console.print(f"[red]missed[/]: {one.benchmark}, {one.what}: {one.ratio:.2f} of the budget")
    report.write(asked.json, facts, made.results)
    console.print(f"written to {asked.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
