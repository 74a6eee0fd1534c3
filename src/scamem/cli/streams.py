"""The standard streams of a command. A shell may have closed them: `scamem ls >&-`."""

from __future__ import annotations

import os
import sys
from typing import IO

import click

NAMES = ("stdin", "stdout", "stderr")


def fill_gaps() -> None:
    """Open /dev/null where the shell closed a stream, so that no other file gets its number.

    What a command writes to stderr is lost then; `sys.stdin` and `sys.stdout` stay None.
    """
    for number, name in enumerate(NAMES):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                opened = os.open(os.devnull, os.O_RDWR)
                if opened == number:
                    os.set_inheritable(opened, True)
                else:
                    os.dup2(opened, number)
                    os.close(opened)
    if sys.stderr is None:
        sys.stderr = os.fdopen(NAMES.index("stderr"), "w", encoding="utf-8", closefd=False)


def standard_input() -> IO[bytes]:
    """Return stdin; ClickException if it is closed."""
    if sys.stdin is None:
        raise click.ClickException("stdin is closed; nothing can be read from it")
    return sys.stdin.buffer
