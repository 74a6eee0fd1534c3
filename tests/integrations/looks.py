"""What workers say of what they receive."""

from __future__ import annotations

from typing import Any

import scamem


def look(value: Any) -> tuple[str, bool, int]:
    """The value's type, whether its memory is shared, and its rows."""
    return type(value).__name__, scamem.is_shared(value), len(value)


def total(value: Any, column: str) -> float:
    return float(sum(value[column].to_pylist() if hasattr(value, "to_batches") else value[column]))


def assign(frame: Any, row: int, column: str, number: float) -> None:
    frame.loc[row, column] = number
