"""scamem with other libraries, compared with what they do alone.

    python -m benchmarks.integrations arrow | loader | dask

Each prints a table. They need the extras (arrow, pandas, polars, torch, dask), so they are apart
from `make bench`; `make lane-integrations` makes an environment that has them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import scamem

MIB = 1 << 20
ROUNDS = 5


def median_ms(action: Callable[[], Any]) -> float:
    """Return the median time of several rounds, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def row(*cells: object) -> None:
    print("| " + " | ".join(f"{c:,.1f}" if isinstance(c, float) else str(c) for c in cells) + " |")


# --- Arrow: a table to another process ---------------------------------------------------------


def length_of(value: Any) -> int:
    return len(value)


def arrow() -> None:
    """Send a table of 256 MiB to a process that looks at its length."""
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from scamem.integrations import arrow as tables
    from scamem.integrations import pandas as frames
    from scamem.integrations import polars as polar

    rows = 8 * MIB
    columns = {name: np.random.default_rng(1).random(rows) for name in "abcd"}
    row("table of 256 MiB", "put once, ms", "send by handle, ms", "send by value, ms")
    row(*["---"] * 4)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(length_of, ((),))
        for name, made, module in (
            ("pyarrow.Table", pa.table(columns), tables),
            ("pandas.DataFrame", pd.DataFrame(columns), frames),
            ("polars.DataFrame", pl.DataFrame(columns), polar),
        ):
            put = median_ms(lambda m=module, v=made: m.put(v))
            shared = module.get(module.put(made))
            by_handle = median_ms(lambda v=shared: pool.apply(length_of, (v,)))
            by_value = median_ms(lambda v=made: pool.apply(length_of, (v,)))
            row(name, put, by_handle, by_value)


# --- torch: a DataLoader's batches -------------------------------------------------------------


class Images:
    """Samples whose batch of 16 has a given size."""

    def __init__(self, batch_bytes: int, batches: int) -> None:
        import torch

        self.sample = torch.zeros(batch_bytes // 16, dtype=torch.uint8)
        self.length = 16 * batches

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> Any:
        return self.sample


def shm_mib() -> float:
    used = os.statvfs("/dev/shm")
    return (used.f_blocks - used.f_bfree) * used.f_frsize / MIB


def loader() -> None:
    """Time an epoch, and count descriptors and bytes in /dev/shm, with ten batches kept."""
    import torch
    from torch.utils.data import DataLoader

    from scamem.integrations.torch import collate

    scamem.default()
    row(
        "batch",
        "collate_fn",
        "ms per batch",
        "descriptors, 10 batches",
        "/dev/shm, 10 batches, MiB",
    )
    row(*["---"] * 5)
    for size, batches in ((MIB, 100), (64 * MIB, 20)):
        for name, function in (("torch's own", None), ("scamem", collate)):
            made: Any = Images(size, batches)
            options: dict[str, Any] = {"num_workers": 2, "persistent_workers": True}
            loading: Any = DataLoader(made, 16, collate_fn=function, **options)
            for _ in loading:  # the workers start
                pass

            def epoch(loading: Any = loading) -> None:
                for batch in loading:
                    assert batch[0, 0] == 0

            spent = median_ms(epoch) / batches
            files, before = len(os.listdir("/proc/self/fd")), shm_mib()
            kept = [batch for batch, _ in zip(loading, range(10), strict=False)]
            more = len(os.listdir("/proc/self/fd")) - files
            row(f"{size // MIB} MiB", name, spent, more, shm_mib() - before)
            del kept, loading
            torch.ones(1)


# --- Dask: broadcast and rechunk ---------------------------------------------------------------


def memory_mib() -> float:
    """Return the proportional memory of this process (shared pages count once), in MiB."""
    with open("/proc/self/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


@contextlib.contextmanager
def cluster(shared: bool) -> Iterator[Any]:
    from dask import config
    from distributed import Client, LocalCluster

    from scamem.integrations import dask as sharing

    config.set({"distributed.scheduler.active-memory-manager.start": False})  # it drops replicas
    options = {"n_workers": 4, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(memory_limit="4GiB", **options) as made, Client(made) as client:
        if shared:
            sharing.register(client)
        yield client


def spent_by(client: Any, action: Callable[[], object]) -> str:
    """Return the time that an action takes, and the processor time of all workers, in seconds."""
    before = sum(client.run(time.process_time).values())
    start = time.perf_counter()
    action()
    wall = time.perf_counter() - start
    return f"{wall:.2f} ({sum(client.run(time.process_time).values()) - before:.2f})"


def dask() -> None:
    """Broadcast 256 MiB from one worker to three others; rechunk an array (RECHUNK_MIB)."""
    from dask import array
    from distributed import wait

    size = int(os.environ.get("RECHUNK_MIB", "1024")) * MIB
    side = int((size / 8) ** 0.5) // 8 * 8
    row("", "broadcast, s (CPU)", "memory of the workers, MiB", "rechunk, s (CPU)")
    row(*["---"] * 4)
    for name, shared in (("plain Dask", False), ("with scamem", True)):
        with cluster(shared) as client:
            addresses = list(client.scheduler_info(n_workers=-1)["workers"])
            before = sum(client.run(memory_mib).values())
            value = client.submit(np.ones, 32 * MIB, workers=addresses[:1])
            wait(value)
            spent = spent_by(client, lambda c=client, v=value: c.replicate([v]))
            sums = [client.submit(np.sum, value, workers=[a], pure=False) for a in addresses]
            assert {one.result() for one in sums} == {32.0 * MIB}
            held = sum(client.run(memory_mib).values()) - before
            del value, sums
            made = array.random.random((side, side), chunks=(side, side // 8)).persist()
            wait(made)
            other = made.rechunk((side // 8, side))
            row(name, spent, held, spent_by(client, lambda o=other: wait(o.persist())))
            del made, other


if __name__ == "__main__":
    {"arrow": arrow, "loader": loader, "dask": dask}[sys.argv[1]]()
