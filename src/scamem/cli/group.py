"""The group of commands. Each command is imported when it is used."""

from __future__ import annotations

import difflib
import importlib
from typing import Final

import click

from scamem import __version__

COMMANDS: Final = {  # name: (module beside this one, attribute, what --help says of it)
    "demo": (".demo.command", "demo_command", "Share real data between workers, and kill one."),
    "put": (".transfer", "put_command", "Copy a file into an arena, and name it."),
    "get": (".transfer", "get_command", "Save a named object to a file."),
    "ls": (".look", "ls_command", "List objects, and the processes that hold them."),
    "who": (".look", "who_command", "Show who holds an object."),
    "top": (".top", "top_command", "Watch the objects and processes of an arena."),
    "map": (".map", "map_command", "Draw the frames of an arena."),
    "stat": (".look", "stat_command", "Show the figures of an arena or an object."),
    "arenas": (".look", "arenas_command", "List your named arenas."),
    "rm": (".care", "rm_command", "Remove names, or a whole arena."),
    "gc": (".care", "gc_command", "Free memory left by dead processes."),
    "check": (".care", "check_command", "Check that an arena is consistent, or repair it."),
    "designs": (".designs", "designs_command", "Compare kernel designs for scattered memory."),
    "kernel": (".kernel", "kernel_command", "Show what this kernel reports about its pages."),
    "completion": (".completion", "completion_command", "Print the completion code of a shell."),
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names; suggest one for a misspelled name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else f"Commands: {', '.join(COMMANDS)}"
            ctx.fail(f"there is no command {args[0]!r}. {advice}")
        return super().resolve_command(ctx, args)

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
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="scamem %(version)s")
@click.pass_context
def group(ctx: click.Context) -> None:
    """Share memory between the processes of one machine, as reference-counted objects.

    The commands work on one named arena. Choose it with --arena, or with the environment variable
    SCAMEM_ARENA. The default name is "default". An arena lies in your own directory, which is
    $SCAMEM_DIR or a directory on tmpfs. A name with a slash is a path.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
