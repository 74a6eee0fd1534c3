"""The command line: `scamem COMMAND`.

Importing this needs NumPy alone; click and rich, the extra `cli`, are imported when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: success; 1: failure, and one line on stderr says why; 2: wrong usage; 130: interrupted.
    """
    try:
        return load()(arguments)
    except KeyboardInterrupt:
        print("scamem: interrupted", file=sys.stderr)
        return 130


def load() -> Callable[[Sequence[str] | None], int]:
    """Import what every command needs, and return the function that runs a command."""
    try:
        import click  # noqa: F401 - only whether it is there
        import rich  # noqa: F401 - only whether it is there
    except ImportError as error:
        lacking = error.name
        return lambda _: _complain(lacking)
    from .run import run

    return run


def _complain(lacking: str | None) -> int:
    print(
        f"scamem: the command line needs {lacking}: pip install 'scamem[cli]'",
        file=sys.stderr,
    )
    return 1
