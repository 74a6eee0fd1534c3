"""What cannot be loaded in a pool's worker: the caller gets the error, and the pool lives on."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import pickle
import resource
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.handles.pickling import load_array
from scamem.handles.unloaded import Unloaded
from tests.handles.workers import failure, fill, look, pid, total

CALL_S = 100  # a caller that would wait for ever fails before pytest ends it
SPACE_BYTES = 3 << 30  # of a worker: less than the arena's capacity


def limit_address_space() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (SPACE_BYTES, SPACE_BYTES))


def identity(x: Any) -> Any:
    return x


def is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def length_of_it(x: Any) -> int:
    return len(x["it"])


@pytest.fixture(scope="module")
def arena() -> Any:
    with scamem.Arena.create(capacity=8 << 30) as made:
        yield made


@pytest.fixture(scope="module")
def pool() -> Any:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, limit_address_space) as made:
        yield made


@pytest.mark.parametrize("use", [total, look, is_array], ids=lambda use: use.__name__)
def test_a_worker_without_address_space(arena: scamem.Arena, pool: Any, use: Any) -> None:
    x = arena.zeros(1000)
    first = pool.apply_async(pid).get(CALL_S)
    for call in (pool.apply_async(use, (x,)), pool.map_async(use, [x, x])):
        with pytest.raises(
            scamem.OutOfMemoryError, match=r"8[.\d]* GiB; limit: RLIMIT_AS"
        ) as caught:
            call.get(CALL_S)
        assert caught.value.limit == "RLIMIT_AS"
    assert pool.apply_async(pid).get(CALL_S) == first  # the same worker


@pytest.mark.parametrize("what", ["scamem", "handle", "arena", "nested", "concatenated"])
def test_everything_that_travels(arena: scamem.Arena, pool: Any, what: str) -> None:
    x = arena.zeros(1024)
    values: dict[str, Any] = {
        "scamem": arena.alloc(4096),
        "handle": scamem.handle(x),
        "arena": arena,
        "nested": {"it": x},
        "concatenated": scamem.concatenate([x, x]),
    }
    with pytest.raises(scamem.OutOfMemoryError, match="RLIMIT_AS"):
        pool.apply_async(length_of_it, (values[what],)).get(CALL_S)


def test_what_is_only_handed_back(arena: scamem.Arena, pool: Any) -> None:
    with pytest.raises(Exception, match=r"Error sending result.*RLIMIT_AS"):
        pool.apply_async(identity, (arena.zeros(10),)).get(CALL_S)


def test_an_executor(arena: scamem.Arena) -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=context, initializer=limit_address_space
    ) as executor:
        future = executor.submit(total, arena.zeros(1000))
        with pytest.raises(scamem.OutOfMemoryError, match="RLIMIT_AS"):
            future.result(CALL_S)
        assert executor.submit(pid).result(CALL_S)  # it is not broken


def test_a_stale_handle(arena: scamem.Arena) -> None:
    """Its object is gone when the worker unpickles it."""
    x = arena.zeros(1000)
    with scamem.handle(x) as handle:
        data = bytes(handle)
        handle.cancel()
    del x
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool, pytest.raises(scamem.StaleHandleError):
        pool.apply_async(total, (Bytes(data),)).get(CALL_S)


class Bytes:
    """Pickles as an array by the bytes of its handle, which may be of an object that is gone."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> Any:
        return load_array, (self.data,)


def test_elsewhere_the_error_is_raised(arena: scamem.Arena, pool: Any) -> None:
    """A task that unpickles itself, and a plain process, get the error where they ask."""
    with scamem.by_handle():
        data = pickle.dumps(arena.zeros(10))
    found = pool.apply_async(failure, (pickle.loads, data)).get(CALL_S)
    assert isinstance(found, scamem.OutOfMemoryError)


def test_it_is_no_value(arena: scamem.Arena) -> None:
    made: Any = object.__new__(Unloaded)
    object.__setattr__(made, "error", scamem.StaleHandleError("gone"))
    uses: list[Any] = [
        len, iter, bool, hash, np.asarray, total, pickle.dumps, dir, vars,
        lambda x: x + 1, lambda x: 1 + x, lambda x: x == x, lambda x: x[0], lambda x: x(),
        lambda x: x.shape, lambda x: isinstance(x, list), lambda x: fill(x, 1),
        lambda x: setattr(x, "y", 1),
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(scamem.StaleHandleError, match="gone"):
            use(made)
    assert "gone" in repr(made)
