"""What the library reports to `logging.getLogger("scamem")`.

DEBUG: an arena was created, joined or left. INFO: dead members were reaped. WARNING: a wait that
nobody may ever end. The library adds no handler. A program that has not imported logging pays
nothing for the first two, and sees warnings on stderr, as logging shows them by default.
"""

from __future__ import annotations

import sys

NAME = "scamem"


def debug(text: str, *values: object) -> None:
    """Report something that happens often."""
    if "logging" in sys.modules:
        import logging

        logging.getLogger(NAME).debug(text, *values)


def info(text: str, *values: object) -> None:
    """Report something that an operator may want to know."""
    if "logging" in sys.modules:
        import logging

        logging.getLogger(NAME).info(text, *values)


def warning(text: str, *values: object) -> None:
    """Report something that is probably wrong; it is shown even if the program logs nothing."""
    import logging

    logging.getLogger(NAME).warning(text, *values)
