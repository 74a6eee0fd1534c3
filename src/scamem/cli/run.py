"""Running a command: every failure is one line and an exit code, never a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence

import click

from scamem.errors import ScamemError

from .group import group
from .streams import fill_gaps

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
DEBUG = "SCAMEM_DEBUG"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    fill_gaps()
    if sys.stdout is None:
        return _say("stdout is closed; nothing can be printed", EXIT_FAILED)
    try:
        with _warnings_as_lines():
            code = group.main(args=arguments, prog_name="scamem", standalone_mode=False)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", EXIT_INTERRUPTED)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "scamem"
        return _say(f"{error.format_message()} (see {command} --help)", EXIT_USAGE)
    except click.ClickException as error:
        return _say(error.format_message(), EXIT_FAILED)
    except BrokenPipeError:
        # The reader of our output has closed it; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except ScamemError as error:
        return _say(str(error), EXIT_FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", EXIT_FAILED)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        return _say(f"{type(error).__name__}: {error} ({DEBUG}=1 shows the traceback)", EXIT_FAILED)


def _say(text: str, code: int) -> int:
    with contextlib.suppress(OSError):  # stderr may be gone
        print("scamem: " + " ".join(text.split()), file=sys.stderr)
    return code


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show a warning as one line, without its place in our source."""

    def show(message: Warning | str, *_about: object) -> None:
        _say(f"warning: {message}", 0)

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]  # fewer parameters are named
        yield
