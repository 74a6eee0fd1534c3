"""Lists of one kind are columns: read in place as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import scamem
from scamem.datasets.on_frames import is_same
from tests.datasets.shapes import Pair, Point

MANY = 9_000  # several pieces, and more than a buffer keeps in private memory


def rows(count: int) -> list[dict[str, Any]]:
    return [{"x": k / 2, "n": k, "label": f"row {k}", "on": k % 3 == 0} for k in range(count)]


@pytest.mark.parametrize("count", [3, MANY])
def test_columns_of_rows(arena: scamem.Arena, count: int) -> None:
    made = rows(count)
    frozen = arena.freeze(made)
    assert frozen.fields == ("x", "n", "label", "on")
    for name, dtype in (("x", np.float64), ("n", np.int64), ("on", np.bool_)):
        column = frozen.column(name)
        assert column.dtype == dtype
        assert column.tolist() == [row[name] for row in made]
        assert not column.flags.writeable
        assert scamem.is_shared(column)
        assert np.shares_memory(column, frozen.column(name))
        assert np.shares_memory(frozen[1:].column(name), column[1:])
    labels = frozen.column("label")
    assert labels == [row["label"] for row in made]
    text = bytes(labels.data).decode()
    start, end = labels.offsets[1:3]
    assert text[start:end] == "row 1"
    assert frozen[::-2].column("n").tolist() == list(range(count))[::-2]
    assert frozen[-1] == made[-1]
    assert frozen == made
    assert frozen == arena.freeze(made)
    assert scamem.thaw(frozen) == made
    with pytest.raises(KeyError, match="there are 'x', 'n', 'label', 'on'"):
        frozen.column("other")


def test_columns_of_classes_and_tuples(arena: scamem.Arena) -> None:
    for make in (Point, Pair, lambda left, right: (left, right)):
        frozen = arena.freeze([make(k, str(k)) for k in range(10)])
        first, second = frozen.fields
        assert frozen.column(first).tolist() == list(range(10))
        assert frozen.column(second) == [str(k) for k in range(10)]
    nested = arena.freeze([{"at": Point(k, {"deep": k * 2.0})} for k in range(10)])
    assert nested.column("at").column("y").column("deep").tolist() == [k * 2.0 for k in range(10)]


def test_lists_and_arrays(arena: scamem.Arena) -> None:
    tokens = [[k] * (k % 4) for k in range(MANY)]
    frozen = arena.freeze({"tokens": tokens, "pictures": [np.full((2, 3), k) for k in range(50)]})
    assert frozen["tokens"] == tokens
    assert frozen["tokens"][7].column().tolist() == tokens[7]
    stack = frozen["pictures"].column()
    assert stack.shape == (50, 2, 3)
    assert np.shares_memory(frozen["pictures"][3], stack)
    assert np.asarray(frozen["pictures"]).shape == (50, 2, 3)
    assert np.asarray(arena.freeze([1, 2.5])).tolist() == [1, 2.5]
    scalars = arena.freeze([np.float32(1), np.float32(2)])
    assert (scalars.column().dtype, type(scalars[0])) == (np.float32, np.float32)


@pytest.mark.parametrize("at", [0, MANY - 1])
@pytest.mark.parametrize("odd", [None, 1 << 70, {"other": 1}, np.zeros(3)])
def test_an_item_of_another_kind(arena: scamem.Arena, at: int, odd: Any) -> None:
    for regular in (list(range(MANY)), [{"n": k} for k in range(MANY)]):
        mixed: list[Any] = [*regular]
        mixed[at] = odd
        frozen = arena.freeze(mixed)
        assert len(frozen) == MANY
        for k in {0, 1, at - 1, at, MANY - 1} - {-1}:
            assert is_same(frozen[k], mixed[k])
        assert frozen == mixed if odd is None else len(list(frozen)) == MANY


def test_rows_whose_keys_differ(arena: scamem.Arena) -> None:
    made: list[dict[str, Any]] = [*rows(5), {"x": 1}, {}, {"n": 1, "x": 2}, *rows(2)]
    frozen = arena.freeze(made)
    assert frozen == made
    assert [list(row) for row in frozen] == [list(row) for row in made]
    assert frozen.fields == ()
    with pytest.raises(TypeError, match="not records"):
        frozen.column("x")
    with pytest.raises(TypeError, match="not numbers"):
        frozen.column()
