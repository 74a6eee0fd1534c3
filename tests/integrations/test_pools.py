"""joblib, scikit-learn, concurrent.futures, Pool, Manager, asyncio: arrays go by handle."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from tests.handles import workers

joblib = pytest.importorskip("joblib", reason="joblib is not installed")

BYTES = 4 << 20  # joblib dumps ndarrays of more than 1 MiB to files


def end_workers() -> None:
    joblib.externals.loky.get_reusable_executor().shutdown()


def told(values: Any, number: float) -> tuple[bool, bool, bool]:
    """Write to an array; say whether it is shared, writable, and no memory map."""
    values[0] = number
    mapped = any(isinstance(one, np.memmap) for one in (values, values.base))
    return scamem.is_shared(values), bool(values.flags.writeable), not mapped


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
@pytest.mark.parametrize("max_nbytes", ["1M", 1, None])
def test_joblib_shares_writes_and_dumps_nothing(
    backend: str, max_nbytes: Any, tmp_path: Path, arena: scamem.Arena
) -> None:
    x = arena.zeros((2, BYTES // 16))
    parallel = joblib.Parallel(2, backend, max_nbytes=max_nbytes, temp_folder=str(tmp_path))
    found = parallel(joblib.delayed(told)(x[k], k + 1.0) for k in range(2))
    assert found == [(True, True, True)] * 2
    assert x[:, 0].tolist() == [1, 2]
    assert not list(tmp_path.rglob("*.pkl"))
    end_workers()


def test_scikit_learn_reads_one_matrix(arena: scamem.Arena) -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    from sklearn.model_selection import cross_val_score

    random = np.random.default_rng(1)
    x = arena.array(random.random((400, 5)))
    y = arena.array((x @ np.arange(5.0) > 5).astype(float))
    model = linear.LogisticRegression()
    with joblib.parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=1):
        shared = cross_val_score(model, x, y, cv=3)
    assert shared.tolist() == cross_val_score(model, np.array(x), np.array(y), cv=3).tolist()
    end_workers()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_concurrent_futures(method: str, arena: scamem.Arena) -> None:
    x = arena.zeros(1000)
    context = multiprocessing.get_context(method)
    with futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(workers.fill, x[:10], 3.0).result()
        assert pool.submit(workers.look, x).result() == (True, 30.0, "Array")
        assert scamem.is_shared(pool.submit(workers.doubled_in_place, x).result())
    assert x[:10].tolist() == [6.0] * 10


def test_asyncio(arena: scamem.Arena) -> None:
    x = arena.zeros(1000)

    async def run() -> Any:
        with futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(pool, workers.fill, x, 2.0)
            return await asyncio.to_thread(workers.look, x)

    assert asyncio.run(run()) == (True, 2000.0, "Array")


def test_manager(arena: scamem.Arena) -> None:
    x = arena.zeros(1000)
    with multiprocessing.get_context("spawn").Manager() as manager:
        kept = manager.dict()
        kept["x"] = x
        kept["x"][0] = 5
        assert x[0] == 5
        del kept


def test_frames_on_a_queue(arena: scamem.Arena) -> None:
    """Pictures as OpenCV makes them, uint8 of shape (height, width, 3), and their regions."""
    queue = multiprocessing.get_context("spawn").SimpleQueue()
    picture = arena.zeros((48, 64, 3), np.uint8)
    queue.put(picture[8:24, 8:32, ::-1])
    region = queue.get()
    region[0, 0] = (1, 2, 3)
    assert picture[8, 8].tolist() == [3, 2, 1]
