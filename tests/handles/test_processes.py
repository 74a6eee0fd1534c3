"""Arrays through everything that Python sends them with, into processes of every start method."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest

import scamem
from tests.handles import workers

pytestmark = pytest.mark.timeout(60)  # a child that fails would leave its parent waiting
METHODS = ("fork", "spawn", "forkserver")
LENGTH = 100_000  # by value it would be far more bytes than a handle


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


@pytest.fixture(scope="module", autouse=True)
def default_left_empty() -> Iterator[None]:
    """These tests use the default arena, as users do."""
    yield
    assert scamem.default().objects() == []


def test_pool(context: Any) -> None:
    values = scamem.array(np.arange(float(LENGTH)))
    with context.Pool(2) as pool:
        for shared, total, kind in pool.map(workers.look, [values, values[::2], values[5:10]]):
            assert shared
            assert kind == "Array"
            assert total > 0
        assert pool.apply(workers.look, (np.asarray(values),))[0] is False
        pool.apply(workers.fill, (values[:10], 5.0))
        assert (values[:10] == 5).all()
        result = pool.apply(workers.made_here, (LENGTH,))
        doubled = pool.apply(workers.doubled_in_place, (values[:10],))
        assert np.shares_memory(doubled, values)
        same_arena, members = pool.apply(workers.default_arena)
        assert same_arena == scamem.default().arena_id
        assert members >= 2
    assert type(result) is scamem.Array
    assert (result == 7).all()
    assert np.array_equal(doubled, np.full(9, 10.0))
    pool.join()


def test_process_arguments_and_queues(context: Any) -> None:
    values = scamem.full(LENGTH, 2.0)
    process = context.Process(target=workers.fill, args=(values, 3.0))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert (values == 3).all()
    inbox, outbox = context.Queue(), context.Queue()
    process = context.Process(target=workers.sum_of_queue, args=(inbox, outbox))
    process.start()
    inbox.put(values)
    inbox.put([values[1:]])
    assert outbox.get() == (True, 3.0 * LENGTH, "Array")
    assert outbox.get() == (False, 3.0 * (LENGTH - 1), "list")
    inbox.put(None)
    process.join()
    for queue in (inbox, outbox):
        queue.close()
        queue.join_thread()


def test_a_sender_that_has_ended(context: Any) -> None:
    """What a child puts into a queue before it exits is there, in the parent's arena."""
    scamem.default()
    queue = context.Queue()
    process = context.Process(target=workers.send_and_exit, args=(queue, LENGTH))
    process.start()
    process.join()
    found = queue.get()
    assert type(found) is scamem.Array
    assert (found == 3).all()
    queue.close()
    queue.join_thread()


def test_pipe() -> None:
    here, there = multiprocessing.Pipe()
    values = scamem.array(np.arange(10))
    with here, there:
        here.send({"v": values})
        assert np.shares_memory(there.recv()["v"], values)
        here.send_bytes(bytes(scamem.handle(values)))
        assert np.shares_memory(scamem.from_handle(there.recv_bytes()), values)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_futures(method: str) -> None:
    values = scamem.array(np.arange(float(LENGTH)))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        looks = list(pool.map(workers.look, [values] * 4))
        result = pool.submit(workers.made_here, LENGTH).result()
        handle = scamem.default().put(values)
        error = pool.submit(workers.failure, scamem.from_handle, b"nonsense").result()
        data = bytes(handle)
        assert pool.submit(workers.load_handle, data).result() == values.sum()
    assert looks == [(True, float(values.sum()), "Array")] * 4
    assert type(result) is scamem.Array
    assert isinstance(error, scamem.ScamemError)
    del handle


def test_manager() -> None:
    values = scamem.full(LENGTH, 2.0)
    with multiprocessing.get_context("spawn").Manager() as manager:
        kept = manager.dict()
        kept["x"] = values
        assert any(len(info.holders) == 2 for info in scamem.default().objects())
        assert np.shares_memory(kept["x"], values)


def test_subclasses_in_other_processes() -> None:
    image = scamem.zeros((4, 4)).view(workers.Image)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(workers.look, (image,)) == (True, 0.0, "Image")
    pool.join()


@pytest.mark.parametrize("library", ["joblib", "loky"])
def test_other_pools(library: str) -> None:
    """Handles travel by joblib and by loky, which pickle with registers of their own."""
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    values = scamem.array(np.arange(float(LENGTH)))
    if library == "joblib":
        parallel = module.Parallel(n_jobs=2)
        looks = parallel(module.delayed(workers.look)(values[i:]) for i in range(3))
        (result,) = parallel([module.delayed(workers.made_here)(LENGTH)])
        importlib.import_module("joblib.externals.loky").get_reusable_executor().shutdown()
    else:
        with module.ProcessPoolExecutor(2) as pool:
            looks = list(pool.map(workers.look, [values[i:] for i in range(3)]))
            result = pool.submit(workers.made_here, LENGTH).result()
    assert [look[::2] for look in looks] == [(True, "Array")] * 3
    assert type(result) is scamem.Array
