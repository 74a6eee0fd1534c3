"""What NumPy users do with any array: lock and unlock it, records, metadata, hashes, subclasses."""

from __future__ import annotations

import multiprocessing
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import in_child
from tests.handles.workers import Image


@pytest.fixture
def joblib() -> Any:
    """Joblib, imported before the test's arena is made."""
    return pytest.importorskip("joblib")


def scattered(arena: scamem.Arena) -> Any:
    """An array whose frames are in several runs: its base is a view of its own."""
    lone = [arena.alloc(4096) for _ in range(16)]
    rest = arena.alloc(arena.stats().frames_free * 4096)
    for one in lone[::2]:
        one.close()
    made = arena.zeros(8 * 512)
    rest.close()
    for one in lone[1::2]:
        one.close()
    return made


MADE: dict[str, Any] = {
    "zeros": lambda arena: arena.zeros(1000),
    "array": lambda arena: arena.array(np.arange(300_000.0)),
    "empty": lambda arena: arena.empty((0, 3)),
    "fortran": lambda arena: arena.zeros((5, 6), order="F"),
    "slice": lambda arena: arena.zeros(1000)[10:500:3],
    "view": lambda arena: arena.zeros(1000).view("i4").reshape(-1, 2).T,
    "by handle": lambda arena: scamem.from_handle(bytes(scamem.handle(arena.zeros(100)))),
    "scattered": scattered,
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_an_array_is_locked_and_unlocked(arena: scamem.Arena, make: Any) -> None:
    x = make(arena)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        x[...] = 1
    x.flags.writeable = True
    x[...] = 5
    assert (x == 5).all()
    x.setflags(write=False)
    part = x[:1]
    del x
    part.setflags(write=True)


def test_a_name_is_locked_and_unlocked(arena: scamem.Arena) -> None:
    arena["x"] = arena.zeros(10)
    x = arena["x"]
    x.flags.writeable = False
    x.flags.writeable = True
    x[0] = 5
    assert in_child(lambda: float(arena["x"][0])) == 5
    del x, arena["x"]


READ_ONLY: dict[str, Any] = {
    "readonly": lambda arena: arena.zeros(100).readonly(),
    "scattered": lambda arena: scattered(arena).readonly(),
    "put": lambda arena: arena.get(arena.put(np.zeros(100))),
    "handle": lambda arena: scamem.from_handle(
        bytes(scamem.handle(arena.zeros(100))), writable=False
    ),
    "asarray": lambda arena: arena._seat and _asarray(arena),
}


def _asarray(arena: scamem.Arena) -> Any:
    return arena.asarray(arena.zeros(10), writable=False)


@pytest.mark.parametrize("make", READ_ONLY.values(), ids=READ_ONLY)
def test_read_only_memory_stays_so(arena: scamem.Arena, make: Any) -> None:
    x = make(arena)
    with pytest.raises(ValueError, match="WRITEABLE"):
        x.flags.writeable = True
    with pytest.raises(ValueError, match="WRITEABLE"):
        x[2:].flags.writeable = True
    with pytest.raises(ValueError, match="WRITEABLE"):
        x.view(np.ndarray).flags.writeable = True


def test_the_base_is_no_way_around(arena: scamem.Arena) -> None:
    """The base exports the array's own memory, and only where it may be written."""
    x = arena.zeros(10)
    x[:] = 7
    base: Any = x.base
    assert np.frombuffer(base, "f8", 10).tolist() == [7] * 10
    base = x.readonly().base
    with pytest.raises(BufferError):
        memoryview(base)


# --- dtypes -----------------------------------------------------------------------------------

FIELDS = [("a", "i8"), ("b", "f8")]
INNER = np.dtype("i4", metadata={"unit": "m"})
DTYPES: dict[str, np.dtype[Any]] = {
    "record": np.dtype((np.record, FIELDS)),
    "record in a field": np.dtype([("r", np.dtype((np.record, FIELDS))), ("x", "i1")]),
    "metadata": np.dtype("i4", metadata={"k": 1, "deep": {"l": [1.5, None, True, "x"]}}),
    "metadata of a field": np.dtype([("a", INNER), ("b", (INNER, (2,)))]),
    "metadata of records": np.dtype(np.dtype((np.record, FIELDS)), metadata={"k": "v"}),
    "plain": np.dtype(FIELDS),
}


def same(one: Any, other: Any) -> bool:
    """Whether dtypes are the same, also in what NumPy does not compare."""
    if one != other or one.type is not other.type:
        return False
    if (one.metadata or {}) != (other.metadata or {}):
        return False
    if one.subdtype:
        return same(one.subdtype[0], other.subdtype[0])
    return all(same(one[name], other[name]) for name in one.names or ())


def dtype_there(x: Any) -> Any:
    return x.dtype


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_dtypes_travel_whole(arena: scamem.Arena, dtype: np.dtype[Any]) -> None:
    x = arena.zeros(3, dtype)
    assert same(scamem.from_handle(bytes(scamem.handle(x))).dtype, dtype)
    arena["x"] = x
    assert same(arena["x"].dtype, dtype)
    assert same(in_child(lambda: arena["x"].dtype), dtype)
    assert same(arena.get(arena.put(np.zeros(3, dtype))).dtype, dtype)
    # what NumPy calls equal is not mixed up
    plain = np.dtype("i4") if dtype.names is None else np.dtype(FIELDS)
    assert same(scamem.from_handle(bytes(scamem.handle(arena.zeros(2, plain)))).dtype, plain)
    del arena["x"]


@pytest.mark.parametrize("metadata", [{"t": (1, 2)}, {1: 2}, {"f": print}, {"n": float("nan")}])
def test_metadata_that_is_no_data(arena: scamem.Arena, metadata: Any) -> None:
    """By handle in a pickle it goes as pickle has it; as data it cannot, and says so."""
    dtype = np.dtype("i4", metadata=metadata)
    x = arena.zeros(3, dtype)
    with pytest.raises(TypeError, match="metadata that JSON can say"):
        arena["x"] = x
    assert list(arena) == []
    assert arena.get(arena.put(np.zeros(3, dtype))).dtype.metadata.keys() == metadata.keys()


def test_records_in_a_worker() -> None:
    records = np.rec.array([(1, 2.5)], dtype=FIELDS)
    x = scamem.array(records)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert same(pool.apply(dtype_there, (x,)), records.dtype)
        odd = scamem.zeros(2, np.dtype("i4", metadata={"t": (1, 2)}))
        assert pool.apply(dtype_there, (odd,)).metadata == {"t": (1, 2)}


# --- hashes and subclasses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [np.arange(12.0).reshape(3, 4), np.array(5), np.zeros((2, 0)), np.arange(9)[::2]],
    ids=repr,
)
def test_the_hash_is_that_of_the_same_ndarray(
    joblib: Any, arena: scamem.Arena, values: Any
) -> None:
    x = arena.array(values, order="K")
    plain = x.view(np.ndarray)
    assert joblib.hash(x) == joblib.hash(plain)
    assert joblib.hash({"a": [x, x]}) == joblib.hash({"a": [plain, plain]})
    assert joblib.hash(x) != joblib.hash(plain.astype("c16"))


def test_a_subclass_is_kept_where_it_is_known(arena: scamem.Arena) -> None:
    x = arena.zeros((4, 5)).view(Image)
    assert type(scamem.from_handle(bytes(scamem.handle(x[1:])))) is Image
    arena["x"] = x
    assert type(arena["x"]) is Image
    assert type(arena.get("x", writable=False)) is Image
    assert type(arena.get(arena.put(x))) is Image
    assert in_child(lambda: type(arena["x"]).__name__) == "Image"
    del arena["x"]


def test_a_subclass_that_is_not_known_is_an_array(arena: scamem.Arena) -> None:
    """Nothing is imported for a name that another process wrote."""

    def forget() -> str:
        from scamem.handles import subclasses

        subclasses._named.clear()
        return type(arena["x"]).__name__

    arena["x"] = arena.zeros(4).view(Image)
    assert in_child(forget) == "Array"
    del arena["x"]
