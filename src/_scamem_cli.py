"""The console script `scamem`: Ctrl-C ends it with exit code 130 while it is still importing, too.

It lies outside the package, since importing any part of the package imports NumPy first. An
exception in the middle of imports may come out as another one, or be lost in a callback of the
import system, so no exception is raised there: nothing is to be cleaned up, and the process ends.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

EXIT_INTERRUPTED = 130


def main() -> int:
    """Run the command line with this process's arguments; return its exit code."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else it is ignored, as in the background of a shell
        signal.signal(signal.SIGINT, _end)
    from scamem import cli

    run = cli.load()
    try:
        signal.signal(signal.SIGINT, before)
        return run(None)
    except KeyboardInterrupt:
        _end()
        raise


def _end(_number: int = signal.SIGINT, _frame: FrameType | None = None) -> None:
    os.write(2, b"scamem: interrupted\n")
    os._exit(EXIT_INTERRUPTED)
