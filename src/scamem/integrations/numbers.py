"""Which texts of a table are numbers that can be written again as they were."""

from __future__ import annotations

import math
from decimal import Decimal

MISSING = ("", "NA", "N/A", "NaN", "nan", "null")
WHOLE = r"^(0|-?[1-9][0-9]{0,19})$"
DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
SAFE_DIGITS = 15  # each decimal number of so many digits can be restored from its float64
WHOLE_MAX = 1 << 53  # float64 has each whole number up to here


def is_same(text: str, number: float) -> bool:
    """Return whether a number, written with as many digits as its text, gives the same decimal.

    Not for a whole number of which float64 does not have all neighbours: it is likely an id.
    """
    decimal = Decimal(text)
    if text.removeprefix("-").isdigit() and abs(decimal) > WHOLE_MAX:
        return False
    if decimal == 0 or not math.isfinite(number):
        return decimal == number
    digits = len(decimal.as_tuple().digits)
    return Decimal(f"{number:.{digits - 1}e}") == decimal
