"""Sizes in bytes, in the form that people read and write."""

from __future__ import annotations

import math
import operator
import re
from typing import Final, SupportsIndex

UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)

Size = int | str


def sized(count: int) -> str:
    """`1.5 GiB` for 1610612736; whole numbers of bytes below 1 KiB."""
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"


def bytes_of(size: str | SupportsIndex) -> int:
    """Return a size in bytes: 4096, "64K", "1.5 GiB". Units are powers of 1024; upper or lower.

    Raises
    ------
    ValueError : the text is no size.
    TypeError : it is neither text nor a whole number.
    """
    if not isinstance(size, str):
        try:
            return operator.index(size)
        except TypeError:
            raise TypeError(
                f"asked for a size of {size!r}; give a whole number of bytes, or text such as '64M'"
            ) from None
    found = SIZE.fullmatch(size.strip())
    if not found:
        raise ValueError(f"{size!r} is no size; write 4096, 64K, 1.5G or the like")
    return math.ceil(float(found[1]) * UNITS[found[2].upper()])
