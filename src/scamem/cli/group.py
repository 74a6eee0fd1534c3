"""The group of commands. Each command is imported when it is used."""

from __future__ import annotations

import importlib
from typing import Final

import click

from scamem import __version__

COMMANDS: Final = {  # name: (module beside this one, attribute, what --help says of it)
    "demo": (".demo.command", "demo_command", "Share real data between workers, and kill one."),
    "put": (".transfer", "put_command", "Copy a file into an arena, and name it."),
    "get": (".transfer", "get_command", "Save a named object to a file."),
    "ls": (".look", "ls_command", "List objects, and the processes that hold them."),
    "stat": (".look", "stat_command", "Show the figures of an arena or an object."),
    "rm": (".care", "rm_command", "Remove names, or a whole arena."),
    "gc": (".care", "gc_command", "Free memory left by dead processes."),
    "check": (".care", "check_command", "Check that an arena is consistent, or repair it."),
    "designs": (".designs", "designs_command", "Compare kernel designs for scattered memory."),
    "kernel": (".kernel", "kernel_command", "Show what this kernel reports about its pages."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the names of the commands, in the order of the help text."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        cmd_name: str,
    ) -> click.Command | None:
        """Import and return a command; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        found: click.Command = getattr(importlib.import_module(module, __package__), attribute)
        return found

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        formatter: click.HelpFormatter,
    ) -> None:
        """Write one line for each command, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="scamem %(version)s")
def group() -> None:
    """Share memory between the processes of one machine, as reference-counted objects.

    The commands work on one named arena. Choose it with --arena, or with the environment variable
    SCAMEM_ARENA. The default name is "default". An arena lies in your own directory, which is
    $SCAMEM_DIR or a directory on tmpfs. A name with a slash is a path.
    """
