"""The group of commands; each is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Final

import click

from scamem import __version__

COMMANDS: Final = {  # name: (module beside this one, attribute, what --help says of it)
    "demo": (".demo.command", "demo_command", "Real data, shared by workers, one of them killed."),
    "put": (".transfer", "put_command", "Copy a file into an arena, under a name."),
    "get": (".transfer", "get_command", "Copy what has a name into a file."),
    "ls": (".look", "ls_command", "List objects, and who holds them."),
    "stat": (".look", "stat_command", "Show an arena's numbers, or one object's."),
    "rm": (".care", "rm_command", "Take names away; or a whole arena."),
    "gc": (".care", "gc_command", "Reap what dead processes left."),
    "check": (".care", "check_command", "Prove that an arena is whole."),
    "designs": (".designs", "designs_command", "Compare kernel designs for scattered memory."),
    "kernel": (".kernel", "kernel_command", "Show what this kernel says of its own pages."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the commands' names, in the order in which they are explained."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        cmd_name: str,
    ) -> click.Command | None:
        """Return a command, imported now; None if there is none of this name."""
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
        """Write what each command does, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="scamem %(version)s")
def group() -> None:
    """Scattered memory: page frames shared by processes, as refcounted objects.

    The commands work on a named arena (--arena, or the environment variable SCAMEM_ARENA; else
    "default"). A name alone is in your own place, $SCAMEM_DIR or a directory on tmpfs; a name with
    a slash is a path.
    """
