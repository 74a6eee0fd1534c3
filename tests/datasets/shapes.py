"""Values of every kind that can be frozen, and classes that other processes find."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from hypothesis import strategies as st


@dataclass
class Point:
    x: Any
    y: Any = 0

    def moved(self, by: int) -> Point:
        return Point(self.x + by, self.y)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    of: Any


class Pair(NamedTuple):
    left: Any
    right: Any


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Size(enum.IntEnum):
    SMALL = 1


class Rights(enum.Flag, boundary=enum.KEEP):
    READ = 1
    WRITE = 2


RIGHTS = (Rights.READ, Rights.READ | Rights.WRITE, Rights(0))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.sampled_from([*Colour, *Size, *RIGHTS, ..., range(3), Path("a/b")])
    | st.sampled_from([np.float32(0.1), np.int8(-3)])
    | st.dates()
    | st.datetimes(timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=5))]))
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.timedeltas()
    | st.uuids()
)
KEYS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.frozensets(inner, max_size=12)
        | st.builds(Key, inner)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=8,
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    alike = (
        st.fixed_dictionaries({"a": inner, "b": inner})
        | st.builds(Point, inner, inner)
        | st.builds(Pair, inner, inner)
        | st.tuples(st.text(max_size=4), inner)
    )
    return (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=12)
        | st.sets(KEYS, max_size=12)
        | st.builds(Point, inner, inner)
        | st.builds(Pair, inner, inner)
        | st.lists(alike)
        | st.lists(st.integers(-100, 100))
        | st.lists(st.lists(st.floats(allow_nan=False)))
        | st.lists(st.text(max_size=4))
    )


VALUES = st.recursive(LEAVES, _containers, max_leaves=30)


def everything() -> dict[str, Any]:
    """Return a value in which every kind of node and every form of list occurs."""
    return {
        "rows": [{"x": k * 0.5, "label": f"row {k}", "deep": [k, str(k)]} for k in range(40)],
        "points": [Point(k, [k] * k) for k in range(5)],
        "pairs": [Pair(k, str(k)) for k in range(5)],
        "tuples": [(k, str(k)) for k in range(5)],
        "numbers": [1, 2, 3],
        "mixed": [1, 2.5, 1j, "text", b"bytes", None, True, ..., 1 << 80, (1, 2)],
        "arrays": [np.arange(6).reshape(2, 3) + k for k in range(4)],
        "array": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalars": [np.float32(1), np.float32(2)],
        "scalar": np.datetime64("2026-01-01", "D"),
        "lists": [[1, 2], [], [3]],
        "bytes": [b"a", b"", b"ccc"],
        "dict": {k: f"value {k}" for k in range(30)},
        "set": {f"item {k}" for k in range(30)},
        "frozenset": frozenset({1, 2}),
        "one": Point(1, Pair(2, 3)),
        "enums": [Colour.RED, Size.SMALL, Rights.READ | Rights.WRITE],
        "others": [dt.date(2026, 1, 1), Decimal("1.5"), Fraction(1, 3), UUID(int=5), Path("a")],
    }
