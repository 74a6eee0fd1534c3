"""Arrays joined without copying: what is shared, what is copied and why, and how they travel."""

from __future__ import annotations

import multiprocessing
import pickle
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import in_child

FRAME = 4096
ROW = FRAME // 8


def pieces_of(arena: scamem.Arena) -> list[scamem.Array]:
    made = [arena.empty((rows, ROW)) for rows in (1, 3, 2)]
    for number, one in enumerate(made):
        one[...] = np.arange(one.size).reshape(one.shape) + 1000 * number
    return made


def double(values: Any) -> float:
    values *= 2
    return float(values.sum())


def test_whole_frames_are_shared(arena: scamem.Arena) -> None:
    first, second, third = pieces_of(arena)
    joined = arena.concatenate([first, second, third], copy=False)
    assert type(joined) is scamem.Array
    assert np.array_equal(joined, np.concatenate([np.asarray(x) for x in (first, second, third)]))
    joined[1] = 7
    assert (second[0] == 7).all()
    third[-1] = 8
    assert (joined[-1] == 8).all()


def test_it_holds_its_parts(arena: scamem.Arena) -> None:
    joined = scamem.concatenate(pieces_of(arena), copy=False)
    assert sum(info.nr for info in arena.objects()) == 6
    assert joined[4, 1] == 2001
    assert arena.check() == []


def test_ends_may_lie_anywhere(arena: scamem.Arena) -> None:
    first, second, third = (x.reshape(-1) for x in pieces_of(arena))
    joined = arena.concatenate([first[5:], second, third[:-3]], copy=False)
    assert np.array_equal(joined[:2], [5, 6])
    assert joined.shape == (6 * ROW - 8,)
    assert joined[-1] == third[-4]


def test_neighbours_need_no_mapping(arena: scamem.Arena) -> None:
    whole = arena.array(np.arange(1000.0))
    joined = arena.concatenate([whole[:123], whole[123:500], whole[500:]], copy=False)
    assert np.shares_memory(joined, whole)
    assert np.array_equal(scamem.from_handle(bytes(scamem.handle(joined))), whole)


REASONS = {
    "private memory": lambda x, y: [x, np.zeros(y.shape)],
    "dtype": lambda x, y: [x, y.view("i8")],
    "begins": lambda x, y: [x, y.reshape(-1)[1 : 1 + ROW].reshape(1, ROW)],
    "ends": lambda x, y: [x.reshape(-1)[:-1], y.reshape(-1)],
    "one piece": lambda x, y: [x, y[::-1]],
    "twice": lambda x, y: [x, y, x],
}


@pytest.mark.parametrize("reason", REASONS)
def test_else_it_is_copied(arena: scamem.Arena, reason: str) -> None:
    first, second, _ = pieces_of(arena)
    parts = REASONS[reason](first, second)
    with pytest.raises(ValueError, match=r"copy=False"):
        arena.concatenate(parts, copy=False)
    joined = arena.concatenate(parts)
    expected = np.concatenate([np.asarray(part) for part in parts])
    assert np.array_equal(joined, expected)
    assert joined.dtype == expected.dtype
    first[...] = -1
    assert np.array_equal(joined, expected)


def test_copy_and_axis(arena: scamem.Arena) -> None:
    first, second, _ = pieces_of(arena)
    copied = arena.concatenate([first, second], copy=True)
    first[...] = -1
    assert copied[0, 1] == 1
    wide = arena.concatenate([second, second], axis=-1)
    assert np.array_equal(wide, np.concatenate([second, second], axis=1))
    # of length 1 before the axis: that one lies in a row
    along = arena.concatenate([first, first[:, :0], arena.zeros((1, ROW))], axis=1, copy=False)
    assert along.shape == (1, 2 * ROW)


@pytest.mark.parametrize(
    ("parts", "axis"),
    [([], 0), ([np.zeros(3)], 1), ([np.zeros((2, 3)), np.zeros((2, 4))], 0), ([np.zeros(())], 0)],
)
def test_errors_are_those_of_numpy(arena: scamem.Arena, parts: list[Any], axis: int) -> None:
    with pytest.raises(ValueError) as theirs:
        np.concatenate(parts, axis)
    with pytest.raises(type(theirs.value)):
        arena.concatenate(parts, axis)


def test_a_part_that_is_read_only_makes_it_read_only(arena: scamem.Arena) -> None:
    first, second, _ = pieces_of(arena)
    joined = arena.concatenate([first, second.readonly()], copy=False)
    with pytest.raises(ValueError, match="read-only"):
        joined[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        joined.flags.writeable = True


def test_it_goes_to_a_spawned_process_by_handle(arena: scamem.Arena) -> None:
    parts = pieces_of(arena)
    joined = arena.concatenate(parts, copy=False)
    assert scamem.explain(joined).startswith("by handle")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        expected = 2 * float(joined[1:].sum())
        assert pool.apply(double, (joined[1:],)) == expected
    assert parts[1].sum() + parts[2].sum() == expected  # it was written there


def test_plain_pickle_goes_by_value_and_handle_says_why(arena: scamem.Arena) -> None:
    joined = arena.concatenate(pieces_of(arena), copy=False)
    loaded = pickle.loads(pickle.dumps(joined))
    assert type(loaded) is np.ndarray
    assert np.array_equal(loaded, joined)
    with pytest.raises(TypeError, match="several"):
        scamem.handle(joined)
    arena["joined"] = joined  # one copy, in one object
    assert np.array_equal(arena["joined"], joined)
    del arena["joined"]


def test_a_forked_child_sees_and_holds_it(arena: scamem.Arena) -> None:
    parts = pieces_of(arena)
    joined = arena.concatenate(parts, copy=False)

    def in_it() -> float:
        parts.clear()
        joined[0, 0] = 5
        return float(joined.sum())

    assert in_child(in_it) == joined.sum()
    assert parts[0][0, 0] == 5
    arena.reap()
    assert arena.check() == []
