"""put and get: any object, its buffers once in frames, seen read-only from everywhere."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.arrays.place import locate
from tests.backing.children import in_child

VALUES: list[Any] = [
    None,
    0,
    "word",
    {"a": [1, 2.5, (3,)], "b": {4}},
    b"",
    b"x",
    bytes(range(256)) * 1000,
    bytearray(b"changeable"),
    Ellipsis,
    [b"part"] * 3,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_any_object(arena: scamem.Arena, value: Any) -> None:
    with arena.put(value) as handle:
        found = arena.get(handle)
        assert found == value
        assert type(found) is type(value)
        assert arena.get(bytes(handle)) == value
        del found
    assert arena.objects() == []


@pytest.mark.parametrize(
    "source",
    [
        np.arange(10),
        np.arange(12).reshape(3, 4).T,
        np.arange(100_000.0)[::-3],
        np.array(5),
        np.zeros((0, 3)),
        np.array([(1, 2.5)], [("a", ">i2"), ("b", "f8")]),
        np.arange(2_000_000.0),
    ],
    ids=str,
)
def test_arrays(arena: scamem.Arena, source: Any) -> None:
    handle = arena.put(source)
    found = arena.get(handle)
    assert found.dtype == source.dtype
    assert np.array_equal(found, source)
    assert not found.flags.writeable
    if source.nbytes:
        assert type(found) is scamem.Array
        assert found.flags.f_contiguous == source.copy(order="K").flags.f_contiguous
        with pytest.raises(ValueError, match="read-only"):
            found[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            found.flags.writeable = True


def test_an_array_of_the_arena_is_not_copied(arena: scamem.Arena) -> None:
    made = arena.zeros((10, 10))
    found = arena.get(arena.put(made[::2]))
    assert np.shares_memory(found, made)
    assert found.flags.writeable
    assert len(arena.objects()) == 1
    copied = arena.get(arena.put(made.copy()))
    assert not np.shares_memory(copied, made)


def test_buffers_are_read_only_views_that_keep_the_object(arena: scamem.Arena) -> None:
    source: dict[str, Any] = {
        "x": np.arange(1000.0),
        "y": [np.ones((5, 5), order="F")],
        "text": "word",
    }
    handle = arena.put(source)
    found = arena.get(handle)
    again = arena.get(handle)
    assert np.array_equal(found["x"], source["x"])
    assert np.array_equal(found["y"][0], source["y"][0])
    assert found["x"].__array_interface__["data"][0] % 64 == 0
    assert np.shares_memory(found["x"], again["x"])
    assert not found["x"].flags.writeable
    handle.close()
    x = found["x"]
    del found, again
    assert len(arena.objects()) == 1
    assert x.sum() == np.arange(1000.0).sum()
    del x
    assert arena.objects() == []


def test_arrays_within_objects_are_stored_not_lent(arena: scamem.Arena) -> None:
    made = arena.array(np.arange(5000))
    handle = arena.put({"x": made})
    assert arena.stats().loans == 0
    del made
    assert arena.get(handle)["x"].sum() == sum(range(5000))


def test_what_cannot_be_pickled_leaves_nothing(arena: scamem.Arena) -> None:
    values: list[Any] = [lambda: None, memoryview(b"x"), (number for number in [1])]
    for value in values:
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            arena.put(value)


def test_many_small_objects_in_other_processes(arena: scamem.Arena) -> None:
    handles = [arena.put(np.full(16, number)) for number in range(200)]
    sent = [bytes(handle) for handle in handles]
    assert in_child(lambda: sum(int(arena.get(data)[0]) for data in sent)) == sum(range(200))


def test_what_is_put_is_of_one_arena(arena: scamem.Arena) -> None:
    with scamem.Arena.create(capacity=8 << 20) as other:
        handle = other.put(np.arange(5))
        assert arena.get(handle).tolist() == [0, 1, 2, 3, 4]
        assert arena.get(bytes(handle)).tolist() == [0, 1, 2, 3, 4]
        copied = arena.put(other.get(handle))
        place = locate(arena.get(copied))
        assert place is not None
        assert place.hold.member is arena._seat.member
        handle.close()


def test_a_handle_of_a_handle_is_another_reference(arena: scamem.Arena) -> None:
    first = arena.put([1, 2])
    second = scamem.handle(first)
    first.close()
    assert arena.get(second) == [1, 2]
    assert scamem.from_handle(second) == [1, 2]
    with second as same:
        assert "Handle" in repr(same)
    assert "closed" in repr(second)


def test_objects_in_hand_go_by_handle(arena: scamem.Arena) -> None:
    obj = arena.alloc(3 * 4096)
    view = obj.map()
    memoryview(view)[:4] = b"abcd"
    for value in (obj, view, scamem.handle(obj)):
        found = scamem.from_handle(bytes(scamem.handle(value)))
        assert isinstance(found, scamem.Scamem)
        assert bytes(memoryview(found.map())[:4]) == b"abcd"
    for wrong in ("text", 5, np.zeros(3), None):
        with pytest.raises(TypeError, match="private memory"):
            scamem.handle(wrong)


@pytest.mark.parametrize("wrong", [b"", b"scm1", b"x" * 100, "text", None, 5, bytearray(70)])
def test_what_is_no_handle(wrong: Any) -> None:
    with pytest.raises(scamem.ScamemError, match="not the bytes of a handle"):
        scamem.from_handle(wrong)
