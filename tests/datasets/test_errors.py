"""What cannot be frozen is named, with the way to it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pytest

import scamem
from tests.datasets.shapes import Pair, Point

BAD = object()


def lacking() -> Point:
    """Return an instance without one of its fields."""
    made = Point(1, 2)
    del made.x
    return made


def local_zone() -> dt.tzinfo:
    """Return a time zone whose class nobody finds."""

    class Zone(dt.tzinfo):
        def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:
            return dt.timedelta(hours=1)

        dst = utcoffset

        def tzname(self, _when: dt.datetime | None) -> str:
            return "local"

    return Zone()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([1, [2, {"x": BAD}]], "value[1][1]['x']"),
        ([{"x": 1}] * 3 + [{"x": BAD}], "value[3]['x']"),
        ([{"x": [1]}] * 3 + [{"x": [1, BAD]}], "value[3]['x'][1]"),
        ([*range(10_000), BAD], "value[10000]"),
        ([[1], [], [2, BAD]], "value[2][1]"),
        ([(1, "a"), (2, BAD)], "value[1][1]"),
        ([Point(1), Point(2, BAD)], "value[1].y"),
        (Point([1, Pair(1, BAD)]), "value.x[1].right"),
        ({"a": {"b": (1, BAD)}}, "value['a']['b'][1]"),
        ({(1, BAD)}, "an item of a set"),
        ({BAD: 1}, "a key"),
        ([np.array([None])], "value[0]"),
        ([Point(1), Point(2), lacking()], "value[2].x"),
        ([*map(Point, range(10_000)), lacking()], "value[10000].x"),
        ([1, {"at": lacking()}], "value[1]['at'].x"),
        ([1, {"at": [dt.datetime(2026, 1, 1, tzinfo=local_zone())]}], "value[1]['at'][0]"),
        ({"at": dt.time(1, tzinfo=local_zone())}, "value['at']"),
        ([slice(BAD, 1)], "value[0]"),
        (lambda: 1, "function"),
        (BAD, "object"),
    ],
)
def test_the_path_is_named(arena: scamem.Arena, value: Any, path: str) -> None:
    with pytest.raises(TypeError) as caught:
        arena.freeze(value)
    assert path in str(caught.value)
    with pytest.raises(TypeError, match=r"value\[1\]"):
        arena.freeze(iter([1, value]))
    assert arena.stats().objects == 0


def _cycles() -> list[Any]:
    one: list[Any] = [1]
    one.append(one)
    two: list[Any] = []
    two += [two] * 100
    three: dict[str, Any] = {}
    three["c"] = [three, three]
    four: list[Any] = [{"k": 1}]
    four[0]["k"] = four
    five = Point(0)
    five.y = (five,)
    return [one, two, three, four, five]


@pytest.mark.parametrize(
    ("number", "path"), [*enumerate(["[1]", "[0]", "['c'][0]", "[0]['k']", ".y[0]"])]
)
def test_a_cycle(arena: scamem.Arena, number: int, path: str) -> None:
    value = _cycles()[number]
    with pytest.raises(TypeError) as caught:
        arena.freeze(value)
    assert f"value{path}: it contains itself" in str(caught.value)
    with pytest.raises(TypeError, match="contains itself"):
        arena.freeze(iter([value]))


def test_shared_parts_are_no_cycle(arena: scamem.Arena) -> None:
    value: Any = [1]
    for _ in range(12):
        value = [value, value]
    assert arena.freeze(value) == value
    row = {"x": [1, 2]}
    assert arena.freeze([row, row, {"x": row}]) == [row, row, {"x": row}]


def test_deep_values(arena: scamem.Arena) -> None:
    value: Any = []
    for _ in range(60):
        value = [value, 1]
    assert arena.freeze(value) == value
    for _ in range(10_000):
        value = [value]
    with pytest.raises(TypeError, match="nested so deeply"):
        arena.freeze(value)


def test_a_class_that_others_cannot_find(arena: scamem.Arena) -> None:
    made: Any = dataclasses.make_dataclass("Local", ["x"])
    with pytest.raises(TypeError, match=r"value\[0\].*Local"):
        arena.freeze([made(1)])


def test_a_closed_arena() -> None:
    arena = scamem.Arena.create(capacity=8 << 20)
    arena.close()
    with pytest.raises(scamem.ClosedError):
        arena.freeze([1])
