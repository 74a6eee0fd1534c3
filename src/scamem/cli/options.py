"""Options and output that several commands share: the arena, JSON, progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from scamem.backing.text import bytes_of

arena_option = click.option(
    "--arena",
    "arena_name",
    metavar="NAME",
    envvar="SCAMEM_ARENA",
    default="default",
    show_default=True,
    help="Name of the arena: a word, or a path with a slash.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Size(click.ParamType[int]):
    """A size in bytes: 4096, 64K, 1.5GiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return a size in bytes."""
        try:
            return bytes_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@contextlib.contextmanager
def progress(what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr; yield a function that takes the bytes of each step.

    Nothing is shown if stderr is not a terminal.
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
