"""Tensors on frames: zero-copy both ways, by handle between processes, from DataLoaders."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import scamem

torch = pytest.importorskip("torch", reason="torch is not installed (make lane-integrations)")

from torch.utils.data import DataLoader  # noqa: E402 - after the check

from scamem.integrations import torch as tensors  # noqa: E402 - after the check
from tests.integrations import loading  # noqa: E402 - after the check

DTYPES = ["bool", "uint8", "int16", "int64", "float16", "float32", "float64", "complex64"]


@pytest.fixture(autouse=True)
def nothing_is_left(arena: scamem.Arena) -> Iterator[None]:
    """Neither in the test's arena nor in the default one, where batches are made."""
    yield
    for one in (arena, scamem.default()):
        gc.collect()
        one.reap(loans=True)
        assert one.objects() == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_memory_both_ways(arena: scamem.Arena, dtype: str) -> None:
    x = arena.zeros((3, 4), dtype)
    t = tensors.tensor(x[:, 1:])
    t[0, 0] = 1
    assert x[0, 1] == 1
    y = tensors.asarray(t.T)
    assert type(y) is scamem.Array
    assert y.dtype == x.dtype
    y[2, 1] = 1
    assert x[1, 3] == 1
    assert np.shares_memory(x, y)
    del x, y
    assert t[0, 0] == 1  # the tensor keeps the memory


def test_what_is_not_shared_is_copied(arena: scamem.Arena) -> None:
    t = tensors.tensor([1.0, 2.0], arena)
    assert scamem.is_shared(t)
    private = torch.ones(3)
    x = tensors.asarray(private, arena)
    private[0] = 5
    assert x.tolist() == [1, 1, 1]
    with pytest.raises(TypeError):
        tensors.asarray(torch.ones(3, dtype=torch.bfloat16))
    with pytest.raises(TypeError):
        tensors.asarray(torch.ones(3).to_sparse())


def test_read_only_arrays(arena: scamem.Arena) -> None:
    x = arena.array([1.0, 2.0]).readonly()
    with pytest.raises(ValueError, match="readonly=True"):
        tensors.tensor(x)
    t = tensors.tensor(x, readonly=True)
    assert t.tolist() == [1, 2]
    assert not tensors.asarray(t).flags.writeable


VIEWS: dict[str, Any] = {
    "whole": lambda t: t,
    "rows": lambda t: t[5:50],
    "step": lambda t: t[::3, 1::2],
    "transposed": lambda t: t.T,
    "expanded": lambda t: t[0].expand(7, -1),
    "one element": lambda t: t[3, 3],
    "bits": lambda t: t.view(torch.int32),
    "brain": lambda t: t.view(torch.bfloat16),
}


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_they_travel_by_handle(arena: scamem.Arena, method: str) -> None:
    t = tensors.tensor(arena.array(np.random.default_rng(1).random((100, 40), np.float32)))
    assert scamem.explain(t).startswith("by handle: 16,000 bytes")
    for module in (torch.multiprocessing, multiprocessing):
        with module.get_context(method).Pool(1) as pool:
            for name, view in VIEWS.items():
                sent = view(t)
                shared, total, strides = pool.apply(loading.look, (sent,))
                assert shared, name
                assert strides == tuple(sent.stride())
                assert total == pytest.approx(float(sent.sum()), nan_ok=True)
            pool.apply(loading.fill, (t[7], 3.0))
            assert t[7].tolist() == [3.0] * 40


def test_parameters_and_gradients(arena: scamem.Arena) -> None:
    weight = torch.nn.Parameter(tensors.tensor(arena.zeros(10)))
    with torch.multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(loading.fill, (weight, 2.0))
    assert weight.tolist() == [2.0] * 10
    data = multiprocessing.reduction.ForkingPickler.dumps
    with scamem.by_handle(), pytest.raises(RuntimeError, match="non-leaf"):
        data(weight * 2)


def test_other_tensors_travel_as_before() -> None:
    private = torch.ones(1000)
    with torch.multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(loading.look, (private,))[:2] == (False, 1000.0)
        pool.apply(loading.fill, (private, 2.0))
    assert private.sum() == 2000
    assert scamem.explain(private).startswith("by value: ")


def test_loky(arena: scamem.Arena) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    t = tensors.tensor(arena.zeros(1000))
    with joblib.parallel_config(backend="loky", n_jobs=2):
        joblib.Parallel()(joblib.delayed(loading.fill)(t[k], k) for k in range(3))
        assert t[:3].tolist() == [0, 1, 2]
        assert joblib.Parallel()([joblib.delayed(loading.look)(torch.ones(3))])[0][1] == 3
    joblib.externals.loky.get_reusable_executor().shutdown()


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker")
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("workers", [0, 1, 4])
def test_data_loader(workers: int, persistent: bool) -> None:
    if persistent and not workers:
        pytest.skip("no worker can persist")
    loader = DataLoader(
        loading.Samples(50),
        batch_size=8,
        num_workers=workers,
        persistent_workers=persistent,
        collate_fn=tensors.collate,
    )
    files = len(os.listdir("/proc/self/fd"))
    for epoch in range(2):
        seen = []
        for batch in loader:
            assert scamem.is_shared(batch["x"])
            assert scamem.is_shared(batch["y"])
            assert batch["x"][:, 5].tolist() == batch["label"].tolist()
            assert batch["y"].dtype == torch.int16
            assert batch["name"] == [f"sample {k}" for k in batch["label"].tolist()]
            seen += batch["label"].tolist()
            if epoch and persistent:
                assert len(os.listdir("/proc/self/fd")) < files + 12 * workers + 12
        assert seen == list(range(50))
    if persistent:
        loader._iterator._shutdown_workers()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_data_loader_methods(method: str) -> None:
    loader = DataLoader(
        loading.Samples(8),
        4,
        num_workers=1,
        collate_fn=tensors.collate,
        multiprocessing_context=method,
    )
    assert [scamem.is_shared(batch["x"]) for batch in loader] == [True, True]


def test_a_worker_is_killed() -> None:
    loader = DataLoader(
        loading.Samples(64, kill_at=40), 8, num_workers=2, collate_fn=tensors.collate
    )
    seen = 0
    with pytest.raises(RuntimeError, match="killed by signal|exited unexpectedly"):
        for batch in loader:
            seen += len(batch["label"])
    assert seen < 48


def test_batches_wait_for_a_slow_loader() -> None:
    """Batches that are not loaded yet outlive their grace, whatever memory others need."""
    arena = scamem.default()
    grace = arena.transit_grace_s
    arena.transit_grace_s = 0
    loader = DataLoader(
        loading.Samples(64), 4, num_workers=1, prefetch_factor=6, collate_fn=tensors.collate
    )
    batches = iter(loader)
    next(batches)
    while len({loan.object for loan in arena.loans()}) < 6:
        os.sched_yield()
    arena.reap(loans=True)
    assert [batch["x"][0, 0].item() for batch in batches] == list(range(4, 64, 4))
    arena.transit_grace_s = grace


def test_collate_refuses_as_torch_does() -> None:
    with pytest.raises(RuntimeError):
        tensors.collate([torch.ones(2), torch.ones(3)])
    with pytest.raises(TypeError):
        tensors.collate([object()])
    assert tensors.collate([torch.ones(0), torch.ones(0)]).shape == (2, 0)
    assert tensors.collate([(1, 2.5), (3, 4.5)])[1].tolist() == [2.5, 4.5]
