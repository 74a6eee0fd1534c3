"""`scamem completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the code that completes scamem's commands and options in SHELL.

    \b
    bash:  eval "$(scamem completion bash)"        in ~/.bashrc
    zsh:   eval "$(scamem completion zsh)"         in ~/.zshrc
    fish:  scamem completion fish | source         in ~/.config/fish/config.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click cannot complete for {shell}")
    click.echo(found(ctx.find_root().command, {}, "scamem", "_SCAMEM_COMPLETE").source())
