"""Arrays are made as NumPy makes them, of any dtype, shape and order, or raise what it raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scamem

PADDED = np.dtype([("a", "i1"), ("b", "<f8"), ("c", "S3")], align=True)
NESTED = np.dtype([("p", [("x", ">i4"), ("y", "f4", (2, 3))]), (("title", "t"), "M8[25s]")])
OVERLAID = np.dtype({"names": ["all", "low"], "formats": ["<u8", "<u4"], "offsets": [0, 0]})
BACKWARD = np.dtype({"names": ["b", "a"], "formats": ["i8", "i8"], "offsets": [8, 0]})

DTYPES = [
    *("?", "i1", "u2", "<i4", ">i4", "=u8", "f2", ">f8", "g", "c8", "G"),
    *("S5", "<U3", ">U3", "V7", "M8[ns]", "m8[us]", "M8", PADDED, NESTED, OVERLAID, BACKWARD),
]
SHAPES: list[Any] = [(), 0, 1, 5, (3, 0, 2), (2, 3, 4), (1,) * 64, [2, 2], np.int8(3), (4097,)]


def values(dtype: Any, shape: Any) -> np.ndarray[Any, Any]:
    """An array with something in each byte."""
    made = np.empty(shape, dtype)
    raw = np.arange(max(made.nbytes, 1), dtype=np.uint64).astype(np.uint8)[: made.nbytes] & 1
    return np.frombuffer(raw.tobytes(), np.dtype(dtype)).reshape(shape) if made.nbytes else made


def same(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> None:
    """Both are one array: dtype, shape, strides and bytes."""
    assert type(ours) is scamem.Array
    assert ours.dtype == theirs.dtype
    assert ours.dtype.fields == theirs.dtype.fields
    assert ours.shape == theirs.shape
    assert ours.strides == theirs.strides or theirs.size == 0
    for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS", "ALIGNED", "WRITEABLE"):
        assert ours.flags[flag] == theirs.flags[flag], flag
    if ours.dtype.names is None:
        assert ours.tobytes() == theirs.tobytes()
    else:
        # What lies between fields is nobody's; and thousands of records are slow to write out.
        some = slice(None, None, max(1, ours.size // 50))
        assert repr(ours.ravel()[some].tolist()) == repr(theirs.ravel()[some].tolist())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_and_shape(arena: scamem.Arena, dtype: Any, shape: Any) -> None:
    source = values(dtype, shape)
    same(arena.array(source), np.array(source))
    orders: tuple[Any, ...] = ("C", "F")
    for order in orders:
        same(arena.zeros(shape, dtype, order), np.zeros(shape, dtype, order))
        empty = arena.empty(shape, dtype, order=order)
        assert empty.strides == np.empty(shape, dtype, order=order).strides or empty.size == 0
    handle = scamem.handle(arena.array(source))
    same(arena.get(handle), np.array(source))
    same(scamem.from_handle(bytes(handle)), np.array(source))


def test_handles_keep_what_a_dtype_is_made_of(arena: scamem.Arena) -> None:
    found = arena.get(scamem.handle(arena.zeros(2, NESTED)))
    assert found["title"].dtype == found["t"].dtype
    assert arena.get(scamem.handle(arena.zeros(2, PADDED))).dtype.isalignedstruct
    assert arena.get(scamem.handle(arena.zeros(2, PADDED)["b"])).dtype == np.float64


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[::-1],
        lambda a: a[:, ::-2, 1:],
        lambda a: a.T,
        lambda a: a.swapaxes(0, 1),
        lambda a: a.transpose(1, 2, 0),
        lambda a: a[:, :0],
        lambda a: np.broadcast_to(a[:, :1], a.shape),
        np.asfortranarray,
        lambda a: a[1:2, :, None],
    ],
)
@pytest.mark.parametrize("order", ["K", "A", "C", "F"])
def test_copies_keep_the_order_that_numpy_keeps(
    arena: scamem.Arena, change: Callable[[Any], Any], order: Any
) -> None:
    source = change(np.arange(120).reshape(4, 5, 6))
    same(arena.array(source, order=order), np.array(source, order=order, subok=False))


@pytest.mark.parametrize(
    "make",
    [
        lambda np_or_arena: np_or_arena.empty(-1),
        lambda np_or_arena: np_or_arena.empty((2, -3)),
        lambda np_or_arena: np_or_arena.empty(2**63),
        lambda np_or_arena: np_or_arena.empty((0, 2**63)),
        lambda np_or_arena: np_or_arena.empty((2**40, 2**40)),
        lambda np_or_arena: np_or_arena.empty((0, 2**40, 2**40)),
        lambda np_or_arena: np_or_arena.zeros((0, 2**40, 2**40), order="F"),
        lambda np_or_arena: np_or_arena.empty((1,) * 65),
        lambda np_or_arena: np_or_arena.empty((1,) * 64, ("f4", (2,))),
        lambda np_or_arena: np_or_arena.empty(1.5),
        lambda np_or_arena: np_or_arena.empty("3"),
        lambda np_or_arena: np_or_arena.empty((1, "3")),
        lambda np_or_arena: np_or_arena.empty(None),
        lambda np_or_arena: np_or_arena.empty(3, "no such dtype"),
        lambda np_or_arena: np_or_arena.empty(3, order="Q"),
        lambda np_or_arena: np_or_arena.array([1, 2], order="Q"),
        lambda np_or_arena: np_or_arena.array(["x"], dtype=float),
        lambda np_or_arena: np_or_arena.array([[1], [2, 3]], dtype=int),
        lambda np_or_arena: np_or_arena.full((2, 2), [1, 2, 3]),
        lambda np_or_arena: np_or_arena.full(2, "x", dtype=int),
    ],
)
def test_refusals_are_numpys(arena: scamem.Arena, make: Callable[[Any], Any]) -> None:
    with pytest.raises((ValueError, TypeError)) as theirs:
        make(np)
    with pytest.raises(theirs.type):
        make(arena)


def test_more_than_there_is_is_a_memory_error(arena: scamem.Arena) -> None:
    with pytest.raises(MemoryError, match="capacity") as caught:
        arena.empty(2**40)
    assert isinstance(caught.value, scamem.OutOfMemoryError)
    assert caught.value.asked_bytes == 2**43
    assert arena.empty(10).shape == (10,)


@pytest.mark.parametrize(
    "make",
    [
        lambda arena: arena.empty(3, object),
        lambda arena: arena.zeros(3, [("a", "i4"), ("b", "O")]),
        lambda arena: arena.array([object()]),
        lambda arena: arena.array(np.array(["a", "bc"], dtype=np.dtypes.StringDType())),
        lambda arena: arena.full(2, None),
        lambda arena: arena.asarray(np.array([{}])),
    ],
)
def test_python_objects_are_refused_with_advice(
    arena: scamem.Arena, make: Callable[[scamem.Arena], object]
) -> None:
    with pytest.raises(TypeError, match=r"arena\.put"):
        make(arena)


@pytest.mark.parametrize("dtype", ["S", "U", "V"])
def test_dtypes_without_a_length(arena: scamem.Arena, dtype: str) -> None:
    """NumPy makes strings of one character; a long array of them lies in its object."""
    made = arena.zeros(10_000, dtype)
    assert made.dtype == np.zeros(3, dtype).dtype
    assert made.nbytes == np.zeros(10_000, dtype).nbytes
    assert arena.objects()[0].nbytes >= made.nbytes


def test_fields_without_bytes_have_nothing_to_hand_over(arena: scamem.Arena) -> None:
    field = arena.zeros(5, [("empty", "S0"), ("n", "i4")])["empty"]
    assert field.itemsize == 0
    with pytest.raises(TypeError, match="at least one byte"):
        scamem.handle(field)


def test_full_fills_as_numpy(arena: scamem.Arena) -> None:
    same(arena.full((2, 3), 7), np.full((2, 3), 7))
    same(arena.full((2, 3), [1.5, 2, 3], order="F"), np.full((2, 3), [1.5, 2, 3], order="F"))
    same(arena.full((), "word"), np.full((), "word"))
    same(arena.full(3, 300, "u2"), np.full(3, 300, "u2"))


def test_what_numpy_makes_arrays_of(arena: scamem.Arena) -> None:
    for source in (
        3,
        2.5,
        [1, [2][0]],
        [[1, 2], [3, 4]],
        range(5),
        b"ab",
        "ab",
        memoryview(b"xyz"),
    ):
        same(arena.array(source), np.array(source))
    same(arena.array([1, 2], float), np.array([1, 2], float))
    masked = np.ma.masked_array([1, 2, 3], [False, True, False])
    same(arena.array(masked), np.array(masked))


def test_asarray_copies_only_what_lies_elsewhere(arena: scamem.Arena) -> None:
    mine = arena.array(np.arange(6.0).reshape(2, 3))
    assert arena.asarray(mine) is mine
    assert arena.asarray(mine[1:]).base is not None
    assert np.shares_memory(arena.asarray(np.asarray(mine)), mine)
    assert type(arena.asarray(np.asarray(mine))) is scamem.Array
    for other in (
        arena.asarray(mine, dtype="f4"),
        arena.asarray(mine, order="F"),
        arena.asarray(np.arange(3)),
        arena.asarray(mine.copy()),
    ):
        assert not np.shares_memory(other, mine)
    with scamem.Arena.create(capacity=8 << 20) as another:
        assert not np.shares_memory(another.asarray(mine), mine)


def test_where_from(arena: scamem.Arena) -> None:
    assert arena.zeros(3, node=0, zone="NORMAL").sum() == 0
    with pytest.raises(ValueError, match="asked for node 7, zone 'NORMAL'; its nodes are 0"):
        arena.empty(3, node=7)
    with pytest.raises(ValueError, match="asked for zone 'NO SUCH'; there are NORMAL, HUGE"):
        arena.empty(3, zone="NO SUCH")


def test_zeros_are_zeros_on_used_frames(arena: scamem.Arena) -> None:
    for _ in range(3):
        arena.full(100_000, -1)
        assert not arena.zeros((100, 1000), order="F").any()


def test_large_copies_are_whole_wherever_they_begin(arena: scamem.Arena) -> None:
    backing = np.random.default_rng(1).integers(0, 255, (2 << 20) + 4096, dtype=np.uint8)
    for start in (0, 1, 63, 64, 4000, 4095):
        source = backing[start : start + (2 << 20)]
        made = arena.array(source)
        assert np.array_equal(made, source)
        assert np.array_equal(scamem.from_handle(bytes(scamem.handle(made))), source)


def test_an_array_needs_an_open_arena() -> None:
    made = scamem.Arena.create(capacity=8 << 20)
    made.close()
    for use in (made.empty, made.zeros, made.array, made.put):
        with pytest.raises(scamem.ClosedError):
            use(3)
