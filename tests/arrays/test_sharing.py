"""What is an Array is shared, what is not is a plain ndarray; and how one sees which."""

from __future__ import annotations

import copy
import dataclasses
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.arrays.place import root
from tests.backing.children import child
from tests.handles.workers import answering

# Calls of every method of ndarray, as far as they fit the array; what raises is passed over.
ARGUMENTS: list[tuple[Any, ...]] = [
    (), (0,), ([0, 1],), ([0, 2], 1), ("f4",), ((3, 4),), ((4, 3),), ((12,),), (2,), (-1,),
    ([True, False, True], 0), (0, 1), (0, 5),
]  # fmt: skip
IN_PLACE = {"fill", "itemset", "partition", "put", "resize", "setfield", "setflags", "sort"}
NOT_CALLED = {"__class__", "__init_subclass__", "__setstate__", "dump", "tofile"}


def private_arrays(found: Any) -> bool:
    """Whether an Array in private memory is, or is among, what was returned."""
    parts = found if isinstance(found, tuple | list) else [found]
    return any(
        isinstance(part, scamem.Array) and isinstance(root(part), np.ndarray) for part in parts
    )


def bases(arena: scamem.Arena) -> Iterator[scamem.Array]:
    yield arena.array(np.arange(1.0, 13).reshape(3, 4))
    yield arena.array(np.arange(1.0, 13).reshape(3, 4)).T
    yield arena.array(np.arange(1.0, 13).reshape(3, 4))[:, ::2]
    yield arena.array([1, 0, 2])
    yield arena.zeros((3, 4), complex)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(dir(np.ndarray)) - NOT_CALLED))
def test_no_method_gives_an_array_in_private_memory(arena: scamem.Arena, name: str) -> None:
    for base in bases(arena):
        try:
            attribute = getattr(base, name)
        except (AttributeError, ValueError):
            continue
        if not callable(attribute):
            assert not private_arrays(attribute)
            continue
        for arguments in [*ARGUMENTS, (base,), (base[0],), (0, base)]:
            it = arena.array(np.asarray(base)) if name in IN_PLACE else base
            try:
                found = getattr(it, name)(*arguments)
            except (TypeError, ValueError, IndexError, AttributeError, KeyError, RuntimeError):
                continue
            assert not private_arrays(found), arguments


FUNCTIONS: list[Callable[[Any], Any]] = [
    lambda x: np.copy(x, subok=True),
    np.sort,
    np.argsort,
    np.zeros_like,
    np.empty_like,
    np.ones_like,
    lambda x: np.full_like(x, 3),
    np.flip,
    lambda x: np.roll(x, 1),
    lambda x: np.tile(x, 2),
    lambda x: np.repeat(x, 2),
    lambda x: np.pad(x, 1),
    lambda x: np.delete(x, 0),
    lambda x: np.append(x, 1),
    lambda x: np.insert(x, 0, 1),
    lambda x: np.take(x, [0]),
    lambda x: np.array_split(x, 2),
    lambda x: np.clip(x, 0, 1),
    lambda x: np.cumsum(x, axis=0),
    lambda x: np.astype(x, "f4"),
    lambda x: np.dot(x, 2),
    lambda x: np.round(x, 1),
    lambda x: np.unique(x, return_counts=True),
    lambda x: np.vstack([x, x]),
    lambda x: np.where(x > 2, x, 0),
    lambda x: np.partition(x, 1),
    lambda x: np.ravel(x.T),
    lambda x: np.reshape(x.T, -1),
    lambda x: x.flat[1:3],
    lambda x: x.flat.copy(),
]


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_gives_an_array_in_private_memory(
    arena: scamem.Arena, function: Callable[[Any], Any]
) -> None:
    for base in bases(arena):
        found = function(base)
        assert not private_arrays(found)
        if not isinstance(found, list | tuple):
            assert scamem.is_shared(found) == isinstance(found, scamem.Array)


def test_views_by_functions_stay_arrays(arena: scamem.Arena) -> None:
    x = arena.zeros((4, 6))
    views = [np.transpose(x), np.reshape(x, 24), *np.split(x, 2), np.squeeze(x), np.flip(x), x.T]
    views += [x.astype(float, copy=False), x.ravel(), x.reshape(3, 8), np.moveaxis(x, 0, 1)]
    assert all(type(view) is scamem.Array and scamem.is_shared(view) for view in views)
    np.ndarray.__setattr__(x, "flat", 3)  # the stubs know of no setter
    x.flat[1] = 5
    assert np.asarray(x).sum() == 3 * 23 + 5
    z = arena.zeros(3, complex)
    z.imag = 4
    assert type(z.imag) is scamem.Array
    assert (np.asarray(z) == 4j).all()


@pytest.mark.parametrize("order", "KACF")
@pytest.mark.parametrize("shape", [None, (2, 3), (4, 2, 3), 7, ()])
@pytest.mark.parametrize("dtype", [None, "i2"])
def test_like_functions_are_numpys(order: Any, shape: Any, dtype: Any) -> None:
    cube = np.arange(24.0).reshape(2, 3, 4)
    for source in (cube, cube.T, cube.swapaxes(0, 1), cube[::-1, :, ::2], 5, np.zeros((0, 3))):
        wanted = np.ones_like(source, dtype, order, shape=shape)
        made = scamem.ones_like(source, dtype, order, shape)
        assert type(made) is scamem.Array
        assert (made.shape, made.dtype) == (wanted.shape, wanted.dtype)
        assert made.size < 2 or made.strides == wanted.strides
        assert np.array_equal(made, wanted)
        assert not scamem.zeros_like(source, dtype, order, shape).any()
        assert scamem.empty_like(source, dtype, order, shape).strides == made.strides
    with pytest.raises(ValueError, match="order"):
        scamem.empty_like(cube, order="X")


def test_they_are_made_in_the_arena_of_their_prototype(arena: scamem.Arena) -> None:
    x = arena.array([1.5, 2.5])
    for made in (scamem.zeros_like(x), scamem.full_like(x[:1], 4, shape=3), scamem.copy(x)):
        assert scamem.handle(made).arena is arena
    assert scamem.handle(scamem.zeros_like([1, 2])).arena is scamem.default()
    assert scamem.full_like(x, 4, shape=3).tolist() == [4, 4, 4]
    assert scamem.ones(2, "i4").tolist() == [1, 1]
    copied = scamem.copy(x)
    copied[0] = 9
    assert x[0] == 1.5


def test_two_arrays_are_joined_in_the_arena_that_has_them(arena: scamem.Arena) -> None:
    """Also if it has no names, and so no length."""
    joined = scamem.concatenate([np.zeros(3), arena.zeros(3)])
    assert scamem.handle(joined).arena is arena


def test_what_is_shared(arena: scamem.Arena) -> None:
    x = arena.zeros((100, 4))
    obj = arena.alloc(3 * 4096)
    stitched = scamem.concatenate([arena.zeros(4096, "u1"), arena.zeros(4096, "u1")])
    shared = [x, x[::2, 1], np.asarray(x), x.data, obj, obj.map(), scamem.handle(x)]
    shared += [stitched, np.asarray(stitched), stitched.data, x.readonly(), x.view("u1")]
    shared += [arena.growable((), "f8"), arena.ring(4096)]
    for value in shared:
        assert scamem.is_shared(value) is True, value
    private: list[Any] = [x.copy(), x + 1, np.zeros(3), b"123", 5, None, "x", [x], object()]
    private += [obj.map(private=True), memoryview(obj.map(private=True))]
    for value in private:
        assert scamem.is_shared(value) is False, value


def foreign(x: scamem.Array, library: str) -> list[Any]:
    """Objects of another library that lie where an Array does."""
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    if library == "pandas":
        frame = module.DataFrame(x, copy=False)
        return [frame, frame[1], module.DataFrame({"a": x[0]}, copy=False)]
    if library == "scipy.sparse":
        indices, indptr = scamem.zeros(8, "i4"), scamem.array(np.array([0, 8], "i4"))
        return [module.csr_matrix((x[0], indices, indptr), shape=(1, 8), copy=False)]
    if library == "torch":
        tensor = module.from_numpy(np.asarray(x))
        return [tensor, tensor.numpy(), tensor[1:]]
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    buffer = arrow.py_buffer(x.reshape(-1))
    values = arrow.Array.from_buffers(arrow.float64(), x.size, [None, buffer])
    if library == "pyarrow":
        table = arrow.table({"a": values})
        return [buffer, values, table, table["a"], np.frombuffer(buffer), values.to_numpy()]
    series = module.from_arrow(values)
    return [series, series.to_numpy(), module.DataFrame({"a": series})]


LIBRARIES = ["pandas", "scipy.sparse", "pyarrow", "polars", "torch"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_objects_of_other_libraries(library: str) -> None:
    x = scamem.zeros((4, 8))
    for value in foreign(x, library):
        assert scamem.is_shared(value), type(value)
        said = scamem.explain(value)
        assert "private" not in said
        assert "by value" in said
    for value in foreign(x.copy().view(scamem.Array), library):
        assert not scamem.is_shared(value), type(value)


@dataclasses.dataclass
class Message:
    """A user's container."""

    image: Any
    note: Any


def test_explain_counts_what_travels(arena: scamem.Arena) -> None:
    """What goes by handle, and how much by value: as the pickle itself shows."""
    x = arena.zeros(100_000)
    plain = np.zeros(5_000)
    with child(answering(lambda: None)) as member:
        member.hear()
        for value in ([x, plain], (x[5:], plain), {"x": x, "y": plain}, Message(x, plain)):
            data = bytes(ForkingPickler.dumps(value))
            pickle.loads(data)
            said = scamem.explain(value)
            assert said.startswith("by handle: ")
            assert "in 1 object" in said
            by_value = int(said.split("by value: ")[1].split()[0].replace(",", ""))
            assert abs(by_value - len(data)) < 400
            assert "others" not in said
        assert scamem.explain([x, x[1:], x]).startswith("by handle: 1,599,992 bytes in 2 objects")
        assert scamem.explain([plain]).startswith("by value: 40,")
    assert "by value to processes other than its children" in scamem.explain([x])
    assert arena.stats().loans == 0


def test_explain_sees_through_frames_that_have_made_plain_arrays(arena: scamem.Arena) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    wide = pandas.DataFrame(arena.zeros((100_000, 2)), copy=False)
    columns = pandas.DataFrame({"a": arena.zeros(100_000)}, copy=False)
    said = scamem.explain(wide)  # with scamem.integrations.pandas imported, it goes by handle
    assert "1,600,000 of which lie in an arena" in said or "by handle: 1,600,000 bytes" in said
    assert scamem.explain(columns).startswith("by handle: 800,000 bytes")


def test_explain_of_what_cannot_travel_or_stays_elsewhere() -> None:
    assert scamem.explain(threading.Lock()).startswith("cannot be pickled (lock)")
    assert scamem.explain(copy).startswith("cannot be pickled (module)")
    assert scamem.explain(scamem.default().alloc(10)).startswith("by handle")
    with multiprocessing.get_context("spawn").Manager() as manager:
        said = scamem.explain(manager.dict())
    assert said.startswith("by reference")
    assert "manager" in said


def test_explaining_a_tensor_leaves_it_where_it_is() -> None:
    """Pickled for another process, torch moves it, and so cuts it off from the Array."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = scamem.zeros(1000)
    tensor = torch.from_numpy(np.asarray(x))
    assert "8,000 of which lie in an arena" in scamem.explain([tensor])
    tensor[0] = 5
    assert x[0] == 5
