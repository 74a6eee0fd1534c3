"""What several commands have in common: the arena, JSON, progress."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)

arena_option = click.option(
    "--arena",
    "arena_name",
    metavar="NAME",
    envvar="SCAMEM_ARENA",
    default="default",
    show_default=True,
    help="The named arena: a word, or a path with a slash.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Size(click.ParamType[int]):
    """A size in bytes: 4096, 64K, 1.5GiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return a size in bytes."""
        if isinstance(value, int):
            return value
        found = SIZE.fullmatch(str(value).strip())
        if not found:
            self.fail(f"{value!r} is no size; write 4096, 64K, 1.5G or the like", param, ctx)
        return math.ceil(float(found[1]) * UNITS[found[2].upper()])


@contextlib.contextmanager
def progress(what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while bytes are worked on; call what it gives with each step's bytes.

    Nothing is shown where stderr is no terminal.
    """
    error_console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    hidden = not error_console.is_terminal
    with Progress(*columns, console=error_console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total_bytes)
        yield lambda nbytes: bar.update(task, advance=nbytes)
