"""Sizes as people read them, for messages."""

from __future__ import annotations


def sized(count: int) -> str:
    """`1.5 GiB` for 1610612736; whole numbers of bytes below 1 KiB."""
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"
