"""What is frozen equals the original, both ways, and thaws to it."""

from __future__ import annotations

import collections
import copy
import dataclasses
import itertools
import math
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import scamem
from tests.datasets.shapes import KEYS, VALUES, Colour, Key, Pair, Point, everything

FAST = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=100)


@pytest.fixture(scope="module")
def shared() -> Any:
    with scamem.Arena.create(capacity=64 << 20) as made:
        yield made


pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")


def is_copy(one: Any, other: Any) -> bool:
    """Whether two plain values are equal, and of the same types all through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_copy, one, other))
    if isinstance(one, dict):
        return is_copy(list(one), list(other)) and is_copy([*one.values()], [*other.values()])
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, Point):
        return is_copy((one.x, one.y), (other.x, other.y))
    return bool(one == other)


@FAST
@given(VALUES)
def test_equal_both_ways_and_back(shared: scamem.Arena, value: Any) -> None:
    frozen = shared.freeze(value)
    assert frozen == value
    assert value == frozen
    assert is_copy(scamem.thaw(frozen), value)
    assert repr(frozen)
    try:
        expected = hash(value)
    except TypeError:
        with pytest.raises(TypeError):
            hash(frozen)
    else:
        assert hash(frozen) == expected


@FAST
@given(st.dictionaries(KEYS, st.integers(), max_size=30), st.sets(KEYS, max_size=30))
def test_lookups(shared: scamem.Arena, mapping: dict[Any, int], others: set[Any]) -> None:
    frozen, frozen_set = shared.freeze(mapping), shared.freeze(others)
    assert list(frozen) == list(mapping)
    assert list(frozen.items()) == list(mapping.items())
    for key in [*mapping, *others]:
        assert frozen.get(key) == mapping.get(key)
        assert (key in frozen) == (key in mapping)
        assert (key in frozen_set) == (key in others)
    for key in frozen:  # also by the keys as they come back
        assert frozen[key] == mapping[key]
    assert frozen_set == others
    assert frozen_set & set(mapping) == others & set(mapping)


@FAST
@given(st.lists(st.integers() | st.text(max_size=3)), st.slices(20), st.slices(5))
def test_slices(shared: scamem.Arena, values: list[Any], one: slice, two: slice) -> None:
    frozen = shared.freeze(values)
    assert frozen[one] == values[one]
    assert frozen[one][two] == values[one][two]
    assert list(reversed(frozen)) == values[::-1]
    numbers = shared.freeze(list(range(20)))
    twice = list(range(20))[one][two]
    assert numbers[one].column().tolist() == list(range(20))[one]
    assert numbers[one][two].column().tolist() == np.asarray(numbers[one][two]).tolist() == twice
    rows = shared.freeze([{"n": k} for k in range(20)])
    assert rows[one][two].column("n").tolist() == twice


@FAST
@given(st.lists(st.text(max_size=3)), st.slices(8), st.slices(5))
@example(["a", "b", "c"], slice(2, 1), slice(None))
@example(["a", "b"], slice(5, None, -1), slice(5, None, -1))
def test_offsets(shared: scamem.Arena, values: list[str], one: slice, two: slice) -> None:
    part = shared.freeze([*values, "last"])[one][two]
    if part._rows.step != 1:
        with pytest.raises(TypeError, match="slice by 1"):
            part.offsets  # noqa: B018 - raises
        return
    text = bytes(part.data)
    assert len(part.offsets) == len(part) + 1
    pairs = itertools.pairwise(part.offsets.tolist())
    assert [text[start:end].decode() for start, end in pairs] == [*values, "last"][one][two]


def test_every_kind_of_value_at_once(arena: scamem.Arena) -> None:
    value = everything()
    frozen = arena.freeze(value)
    assert frozen == value
    assert is_copy(scamem.thaw(frozen), value)
    assert arena.freeze(frozen) is frozen
    again = arena.freeze({"in": frozen, "part": frozen["rows"][1:3]})  # frozen values in a new one
    assert again["in"] == value
    assert again["part"] == value["rows"][1:3]
    assert copy.deepcopy(frozen) is frozen


def test_keys_that_are_equal_are_one_key(arena: scamem.Arena) -> None:
    frozen = arena.freeze({**{k: k for k in range(20)}, "1": "text", (1, "a"): "tuple"})
    for key in (1, 1.0, True, np.int64(1), 1 + 0j):
        assert frozen[key] == 1
    assert frozen[Pair(1, "a")] == frozen[1.0, "a"] == "tuple"
    with pytest.raises(KeyError, match="21"):
        frozen[21]
    with pytest.raises(TypeError, match="unhashable"):
        frozen[[]]


def test_as_the_containers_that_they_stand_for(arena: scamem.Arena) -> None:
    rows: Any = arena.freeze([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}])
    assert issubclass(type(rows), collections.abc.Sequence)
    assert issubclass(type(rows[0]), collections.abc.Mapping)
    assert issubclass(type(arena.freeze({1})), collections.abc.Set)
    assert {**rows[0]} == dict(rows[0]) == {"x": 1, "y": "a"}
    assert rows[0] | {"z": 3} == {"x": 1, "y": "a", "z": 3}
    assert rows.index({"x": 2, "y": "b"}) == 1
    assert {"x": 2, "y": "b"} in rows
    assert rows != ({"x": 1, "y": "a"}, {"x": 2, "y": "b"})  # a list is no tuple
    words = arena.freeze(("b", "a", 1))
    first, *others = words
    assert (first, others) == ("b", ["a", 1])
    assert sorted(arena.freeze([(2, "b"), (1, "a")])) == [(1, "a"), (2, "b")]
    assert arena.freeze({1, 2}) | {3} == {1, 2, 3}
    assert "of 100" in repr(arena.freeze(list(range(100))))
    with pytest.raises(IndexError, match="item 2 of 2"):
        rows[2]
    with pytest.raises(TypeError):
        rows[0] = 1
    with pytest.raises(TypeError):
        rows[0]["x"] = 1


def test_instances_are_of_their_class(arena: scamem.Arena) -> None:
    points = arena.freeze([Point(1, [2]), Point(3, [4])])
    point = points[1]
    assert isinstance(point, Point)
    assert point.x == 3
    assert point.moved(1) == Point(4, [4])
    assert dataclasses.replace(point, x=0) == Point(0, [4])
    assert dataclasses.asdict(arena.freeze(Point(1, 2))) == {"x": 1, "y": 2}
    assert repr(arena.freeze(Point(1, 2))) == "Point(x=1, y=2)"
    with pytest.raises(dataclasses.FrozenInstanceError, match="thaw"):
        point.x = 5
    thawed = scamem.thaw(point)
    thawed.x = 5
    assert (thawed, point.x) == (Point(5, [4]), 3)
    pair = arena.freeze([Pair(1, "a"), Pair(2, "b")])[1]
    left, right = pair
    assert (left, right, pair.left, pair) == (2, "b", 2, Pair(2, "b"))
    replaced = pair._replace(left=[0])
    assert replaced == arena.freeze(replaced) == Pair([0], "b")
    assert arena.freeze({"in": [replaced]}) == {"in": [Pair([0], "b")]}
    copied = copy.deepcopy(replaced)
    copied.left.append(1)
    assert (type(copied), replaced.left) == (Pair, [0])
    assert arena.freeze([Key(1), Key(2)])[0] < Key(2)
    assert arena.freeze([Colour.RED])[0] is Colour.RED


def test_arrays_cannot_be_written(arena: scamem.Arena) -> None:
    source = np.arange(6.0).reshape(2, 3)
    for frozen in (arena.freeze(source), arena.freeze([source, 1])[0], arena.freeze([source])[0]):
        assert isinstance(frozen, scamem.Array)
        assert (frozen == source).all()
        with pytest.raises(ValueError, match="read-only"):
            frozen[0, 0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            frozen.flags.writeable = True
    thawed = scamem.thaw(arena.freeze([source]))[0]
    thawed[0, 0] = 5
    assert source[0, 0] == 0


def test_what_others_can_change_is_copied(arena: scamem.Arena) -> None:
    """A value that only looks as if nobody could change it."""
    shared = arena.array(np.arange(3))
    data = bytearray(b"abc")
    view = np.arange(3)
    view.flags.writeable = False
    frozen = [arena.freeze(one) for one in (shared.readonly(), shared[1:].readonly(), data, view)]
    shared[:] = 9
    data[:] = b"xyz"
    view.flags.writeable = True
    view[:] = 9
    assert [list(one) for one in frozen] == [[0, 1, 2], [1, 2], list(b"abc"), [0, 1, 2]]
    assert type(frozen[2]) is bytes
    part = arena.freeze([np.arange(3)])[0]
    assert arena.freeze(part) is part  # of a frozen value


@pytest.mark.parametrize("value", [None, 5, "text", b"bytes", Colour.BLUE, 1.5, np.float32(2)])
def test_what_cannot_change_stays_as_it_is(arena: scamem.Arena, value: Any) -> None:
    assert arena.freeze(value) is value
    assert scamem.thaw(value) is value


def test_numbers_that_are_hard(arena: scamem.Arena) -> None:
    numbers = [0.0, -0.0, math.inf, -math.inf, 2**63 - 1, -(2**63), 2**63, -(2**60), 2**200]
    for value in (numbers, numbers[:4], numbers[4:6], numbers[6:]):
        assert repr(scamem.thaw(arena.freeze(value))) == repr(value)
    assert math.isnan(arena.freeze([math.nan])[0])
    assert arena.freeze(["\ud800", "é", ""]) == ["\ud800", "é", ""]


@pytest.mark.parametrize("text", ["NaN", "-NaN123", "sNaN", "-sNaN7", "-0.00", "Infinity", "1E+99"])
def test_decimals_that_are_hard(arena: scamem.Arena, text: str) -> None:
    assert repr(arena.freeze([Decimal(text), 1])[0]) == repr(Decimal(text))


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "loud"


class Odd(int):
    def __int__(self) -> int:
        return 99

    __index__ = __int__


def test_subclasses_are_kept_by_their_own_value(arena: scamem.Arena) -> None:
    """Not by what their methods say of it."""
    large = 1 << 70
    frozen = arena.freeze([Loud("quiet"), Odd(5), Odd(large), {Loud("key"): Odd(6)}])
    assert scamem.thaw(frozen) == ["quiet", 5, large, {"key": 6}]
    assert frozen[3]["key"] == 6


class Registry:
    known: ClassVar[list[type]] = []

    def __init_subclass__(cls, *, key: str) -> None:
        Registry.known.append(cls)


@dataclasses.dataclass
class Registered(Registry, key="r"):
    x: int


class Names(NamedTuple):
    thaw: int
    search: int
    column: int


@dataclasses.dataclass
class Search:
    thaw: int
    search: str
    fields: Any = None

    def _place(self) -> str:
        return "of the user"

    def _show(self) -> str:
        return "of the user"


def test_a_base_that_knows_its_subclasses(arena: scamem.Arena) -> None:
    known = [*Registry.known]
    for frozen in (arena.freeze(Registered(1)), arena.freeze([Registered(1)])[0]):
        assert frozen == Registered(1)
    assert Registry.known == known


def test_names_of_fields_and_methods_are_the_users(arena: scamem.Arena) -> None:
    value = [Search(1, "a"), Search(2, "b", [Names(1, 2, 3)])]
    for frozen in (arena.freeze(value), [*map(arena.freeze, value)]):
        assert frozen == value
        assert (frozen[0].thaw, frozen[1].search) == (1, "b")
        assert frozen[0]._place() == frozen[0]._show() == "of the user"
        assert "thaw=1" in repr(frozen[0])
        assert (frozen[1].fields[0].thaw, frozen[1].fields[0].search) == (1, 2)
        assert scamem.thaw(frozen[1]) == value[1]
        assert scamem.from_handle(scamem.handle(frozen[0])) == value[0]
    assert scamem.thaw(arena.freeze(value)) == value
    assert scamem.thaw(arena.freeze(value[1].fields)) == value[1].fields
    assert "fields=" in repr(arena.freeze([value]))
