"""The demo's work: flights, and means of their delays, by carrier and month; in NumPy alone.

A worker makes the summary of some rows; summaries add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE_ROWS = 1 << 16  # what is worked on at once stays in the processor's cache


@dataclass
class Summary:
    """Of each group: rows, and of each value column the sum and count of what is not missing.

    Attributes
    ----------
    rows : int64, shape (groups,).
    sums, known : float64 and int64, shape (value columns, groups).
    """

    rows: NDArray[np.int64]
    sums: NDArray[np.float64]
    known: NDArray[np.int64]

    @classmethod
    def empty(cls, groups: int, values: int) -> Summary:
        """Return the summary of no rows."""
        return cls(
            np.zeros(groups, dtype=np.int64),
            np.zeros((values, groups)),
            np.zeros((values, groups), dtype=np.int64),
        )

    def add(self, other: Summary) -> None:
        """Add the summary of other rows."""
        self.rows += other.rows
        self.sums += other.sums
        self.known += other.known

    def means(self) -> NDArray[np.float64]:
        """Return the means: NaN where nothing is known; shape (value columns, groups)."""
        means = np.full(self.sums.shape, np.nan)
        np.divide(self.sums, self.known, out=means, where=self.known > 0)
        return means


def summarize(
    keys: list[NDArray[Any]],
    lows: tuple[int, ...],
    counts: tuple[int, ...],
    values: list[NDArray[Any]],
) -> Summary:
    """Return the summary of rows.

    Parameters
    ----------
    keys, values : columns, all of one length.
    lows, counts : of each key, its lowest number and how many there can be; a row whose key is
        lower (a missing text) is left out.
    """
    total = Summary.empty(int(np.prod(counts)), len(values))
    for start in range(0, len(keys[0]), PIECE_ROWS):
        piece = slice(start, start + PIECE_ROWS)
        total.add(
            _summarize(_groups([key[piece] for key in keys], lows, counts), total, values, piece)
        )
    return total


def _groups(
    keys: list[NDArray[Any]], lows: tuple[int, ...], counts: tuple[int, ...]
) -> NDArray[np.intp]:
    """Number each row's group; -1 where a key is missing."""
    groups = np.zeros(len(keys[0]), dtype=np.intp)
    missing = np.zeros(len(keys[0]), dtype=np.bool_)
    for key, low, count in zip(keys, lows, counts, strict=True):
        number = key.astype(np.intp) - low
        missing |= number < 0
        groups *= count
        groups += number
    groups[missing] = -1
    return groups


def _summarize(
    groups: NDArray[np.intp], like: Summary, values: list[NDArray[Any]], piece: slice
) -> Summary:
    made = Summary.empty(len(like.rows), len(values))
    there = groups >= 0
    made.rows[:] = np.bincount(groups[there], minlength=len(like.rows))
    for k, column in enumerate(values):
        value = column[piece].astype(np.float64)
        good = there & ~np.isnan(value)
        chosen = groups[good]
        made.sums[k] = np.bincount(chosen, weights=value[good], minlength=len(like.rows))
        made.known[k] = np.bincount(chosen, minlength=len(like.rows))
    return made
