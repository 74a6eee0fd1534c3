"""Sizes and counts as people read and write them."""

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


def counted(count: int, thing: str, things: str = "") -> str:
    """`1 pin`, `2 pins`; `things` is the plural where it is not `thing` and an s."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def printable(text: str) -> str:
    """Return text with characters that a terminal might obey (escapes, line breaks) spelled out."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def ago(seconds: float) -> str:
    """`5 s`, `3 min`, `2 h` or `4 days`."""
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def existing(count: int, thing: str) -> str:
    """`1 name exists`, `2 names exist`."""
    return f"{counted(count, thing)} exist{'s' if count == 1 else ''}"


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
        raise ValueError(f"{size!r} is not a size; write it as 4096, 64K or 1.5G")
    return math.ceil(float(found[1]) * UNITS[found[2].upper()])
