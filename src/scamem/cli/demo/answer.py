"""The demo's answer, and the same calculated by pandas in this process alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .summary import Summary
from .table import Table

RELATIVE_ERROR_MAX = 1e-9  # sums were added up in another order


def by_pandas(table: Table) -> Summary:
    """Return what pandas says; its groups are only those that have rows."""
    names = [key.name for key in table.keys]
    groups = table.frame.groupby(names, observed=True, sort=True)
    rows = np.asarray(groups.size(), dtype=np.int64)
    sums = np.zeros((len(table.values), len(rows)))
    known = np.zeros((len(table.values), len(rows)), dtype=np.int64)
    for k, name in enumerate(table.values):
        sums[k] = groups[name].sum().to_numpy(dtype=np.float64)
        known[k] = groups[name].count().to_numpy(dtype=np.int64)
    return Summary(rows, sums, known)


def differences(answer: Summary, table: Table) -> list[str]:
    """Say where an answer is not what pandas says; nothing where it is."""
    wanted = by_pandas(table)
    there = answer.rows > 0
    if int(there.sum()) != len(wanted.rows):
        return [f"{int(there.sum())} groups, pandas has {len(wanted.rows)}"]
    found = []
    if not np.array_equal(answer.rows[there], wanted.rows):
        found.append("rows of a group")
    means = answer.means()[:, there]
    for k, name in enumerate(table.values):
        if not np.allclose(means[k], wanted.means()[k], rtol=RELATIVE_ERROR_MAX, equal_nan=True):
            found.append(f"means of {name}")
    return found


def lines(answer: Summary, table: Table, most: int) -> list[tuple[str, ...]]:
    """Return the groups with most rows, as text: keys, rows, means."""
    shape = tuple(key.count for key in table.keys)
    largest = np.argsort(-answer.rows, kind="stable")[:most]
    means = answer.means()
    found = []
    for group in largest[answer.rows[largest] > 0]:
        place = np.unravel_index(int(group), shape)
        names = [
            _text(key.labels, key.low, int(k)) for key, k in zip(table.keys, place, strict=True)
        ]
        numbers = [f"{mean:.2f}" for mean in means[:, group]]
        found.append((*names, f"{answer.rows[group]:,}", *numbers))
    return found


def _text(labels: NDArray[Any] | None, low: int, number: int) -> str:
    return str(low + number) if labels is None else str(labels[number])
