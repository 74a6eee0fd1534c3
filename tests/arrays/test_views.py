"""Views lie in the same frames and travel by handle; results of arithmetic are plain ndarrays."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import explain


def cube_in(arena: scamem.Arena) -> scamem.Array:
    return arena.array(np.arange(24.0).reshape(2, 3, 4))


VIEWS: list[Callable[[Any], Any]] = [
    lambda a: a[:],
    lambda a: a[1],
    lambda a: a[..., 2],
    lambda a: a[:, ::-1, ::2],
    lambda a: a[::-1, ::-1, ::-1],
    lambda a: a.T,
    lambda a: a.reshape(4, 6),
    lambda a: a.reshape(-1),
    lambda a: a.ravel(),
    lambda a: a.swapaxes(0, 2),
    lambda a: a[:, None],
    lambda a: a.view("i4"),
    lambda a: a.view(">u8"),
    lambda a: a[0, 0, 0, ...],
    lambda a: a[1:, 2:, 3:],
    lambda a: a.squeeze(),
    lambda a: a[0].diagonal(),
    lambda a: a.real,
    lambda a: a[2:],
    lambda a: a[::-1][2:],
    lambda a: a[:, :, ::-1][:, :, 4:],
]


@pytest.mark.parametrize("view", VIEWS)
def test_views_go_by_handle_and_see_the_same_bytes(
    arena: scamem.Arena, view: Callable[[Any], Any]
) -> None:
    cube = cube_in(arena)
    ours = view(cube)
    theirs = view(np.asarray(cube))
    assert type(ours) is scamem.Array
    found = scamem.from_handle(bytes(scamem.handle(ours)))
    assert found.dtype == theirs.dtype
    assert np.array_equal(found, theirs)
    if ours.size and ours.flags.writeable:
        assert np.shares_memory(ours, cube)
        found.fill(1)
        assert np.array_equal(found, theirs)
        assert (np.asarray(ours) == 1).all()


def test_views_are_as_writable_as_they_were(arena: scamem.Arena) -> None:
    cube = cube_in(arena)
    cube.flags.writeable = False
    found = scamem.from_handle(bytes(scamem.handle(cube[1])))
    assert not found.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        found.flags.writeable = True


COPIES: list[Callable[[Any], Any]] = [
    lambda a: a[[0, 1]],
    lambda a: a[a > 3],
    lambda a: a[np.array([1, 0]), 1],
    lambda a: a.copy(),
    copy.copy,
    copy.deepcopy,
    lambda a: a.astype("f4"),
    lambda a: a.flatten(),
    lambda a: a.take([1, 2]),
    lambda a: np.sort(a, axis=0),
    lambda a: np.concatenate([a, a]),
    lambda a: np.where(a > 2, a, 0),
    lambda a: np.dot(a[0], a[0].T),
]


@pytest.mark.parametrize("make", COPIES)
def test_copies_are_private(arena: scamem.Arena, make: Callable[[Any], Any]) -> None:
    cube = cube_in(arena)
    found = make(cube)
    assert not np.shares_memory(found, cube)
    assert np.array_equal(found, make(np.asarray(cube)))
    with pytest.raises(TypeError, match="private memory"):
        scamem.handle(found)


ARITHMETIC: list[Callable[[Any], Any]] = [
    lambda a: a + 1,
    lambda a: 1 - a,
    lambda a: -a,
    lambda a: a * a,
    lambda a: a @ a.swapaxes(1, 2),
    lambda a: a > 3,
    np.sin,
    lambda a: a.sum(axis=0),
    lambda a: a.mean(axis=(0, 1)),
    lambda a: a.max(axis=0, keepdims=True),
    np.add.reduce,
    lambda a: np.multiply.outer(a[0], a[0]),
    lambda a: np.modf(a)[0],
    lambda a: a[[1, 0]],
]


@pytest.mark.parametrize("compute", ARITHMETIC)
def test_arithmetic_gives_plain_arrays(arena: scamem.Arena, compute: Callable[[Any], Any]) -> None:
    cube = cube_in(arena)
    found = compute(cube)
    assert type(found) is np.ndarray
    assert np.array_equal(found, compute(np.asarray(cube)))


@pytest.mark.parametrize(
    "compute",
    [lambda a: a.sum(), lambda a: a.mean(), lambda a: a[0, 0, 0], lambda a: a[0, 0].dot(a[0, 0])],
)
def test_scalars_are_scalars(arena: scamem.Arena, compute: Callable[[Any], Any]) -> None:
    cube = cube_in(arena)
    assert type(compute(cube)) is np.float64


@pytest.mark.parametrize(
    "change", [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow]
)
def test_in_place_stays_in_place(arena: scamem.Arena, change: Callable[[Any, Any], Any]) -> None:
    cube = cube_in(arena)
    wanted = change(np.arange(24.0).reshape(2, 3, 4), 3)
    seen = scamem.from_handle(bytes(scamem.handle(cube)))
    found = change(cube, 3)
    assert found is cube
    assert np.array_equal(seen, wanted)


def test_out_is_what_was_given(arena: scamem.Arena) -> None:
    cube = cube_in(arena)
    plain = np.zeros((2, 3, 4))
    assert np.add(cube, 1, out=plain) is plain
    assert np.add(plain, 1, out=cube) is cube
    assert np.sum(plain, axis=0, out=cube[0]).base is not None
    before = float(cube[0, 0, 0])
    np.add.at(cube, (0, 0, 0), 5)
    assert cube[0, 0, 0] == before + 5


def test_structured_fields_are_views(arena: scamem.Arena) -> None:
    table = arena.zeros(4, [("n", "i4"), ("x", "f8")])
    scamem.from_handle(bytes(scamem.handle(table["x"])))[:] = 2.5
    assert (table["x"] == 2.5).all()
    assert (table["n"] == 0).all()
    many = scamem.from_handle(bytes(scamem.handle(table[["x"]])))
    assert many.dtype.names == ("x",)
    row = table[1]
    row["n"] = 9
    del table, many
    assert row["n"] == 9  # a row holds the frames, too


def test_what_is_no_array_of_ours_goes_by_value(arena: scamem.Arena) -> None:
    cube = cube_in(arena)
    flat = cube.reshape(-1)
    for other in (np.asarray(cube), flat.view(np.recarray), np.broadcast_to(flat, (2, 24))):
        assert not isinstance(other, scamem.Array)
        assert "by value" in explain(other)
    assert "by handle" in explain(cube[1:])
    assert "private" in explain(cube.copy())
    wide = np.broadcast_to(flat, (3, 24), subok=True)
    assert np.array_equal(scamem.from_handle(bytes(scamem.handle(wide))), wide)


def test_views_of_buffers_find_their_object(arena: scamem.Arena) -> None:
    cube = cube_in(arena)
    through = np.asarray(cube.data).view(scamem.Array)
    assert np.array_equal(scamem.from_handle(bytes(scamem.handle(through[1]))), cube[1])
    obj = arena.alloc(3 * 4096)
    words = np.frombuffer(memoryview(obj.map()), np.uint64)
    words[:] = np.arange(words.size)
    assert np.array_equal(scamem.from_handle(bytes(scamem.handle(words[600:]))), words[600:])


class Image(scamem.Array):
    """A subclass of a user's."""

    def halved(self) -> Any:
        return self[::2]


def test_subclasses(arena: scamem.Arena) -> None:
    image = arena.zeros((4, 4)).view(Image)
    assert type(image.halved()) is Image
    assert type(image + 1) is np.ndarray
    assert "by handle" in explain(image)
    assert scamem.from_handle(bytes(scamem.handle(image))).shape == (4, 4)
