"""The command line: `scamem COMMAND`.

Importing this needs NumPy alone; click and rich, the extra `cli`, are imported when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of the command line; return its exit code.

    0: done; 1: it failed, and one line on stderr says why; 2: it was asked for wrongly; 130:
    interrupted.
    """
    try:
        import click  # noqa: F401 - only whether it is there
        import rich  # noqa: F401 - only whether it is there
    except ImportError as error:
        print(
            f"scamem: the command line needs {error.name}: pip install 'scamem[cli]'",
            file=sys.stderr,
        )
        return 1
    from .run import run

    return run(arguments)
