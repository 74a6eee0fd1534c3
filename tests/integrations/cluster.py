"""A Dask cluster of four workers on two hosts, which are network namespaces; run in the first.

    python cluster.py SECOND_NAMESPACE ADDRESS PLACE

It prints what was seen as JSON; test_dask.py says what that must be.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from distributed import Client, wait

import scamem
from scamem.integrations import dask as sharing

PORT = 8786
LENGTH = 1 << 18  # 2 MiB of float64


@contextlib.contextmanager
def processes(second: str, address: str, place: str) -> Iterator[str]:
    """A scheduler and two workers here, two workers on the other host, each with a nanny."""
    there = ["ip", "netns", "exec", second]
    main = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://{address}:{PORT}"]
    options = ["--nthreads", "1", "--memory-limit", "1GiB", "--no-dashboard", "--death-timeout"]
    options += ["60", "--local-directory", place]
    started: list[subprocess.Popen[bytes]] = []
    with open(os.path.join(place, "log"), "wb") as log:
        try:
            commands = [
                [*main, "--host", address, "--port", str(PORT), "--no-dashboard"],
                *([*worker, *options, "--name", name] for name in ("a", "b")),
                *([*there, *worker, *options, "--name", name] for name in ("c", "d")),
            ]
            started += [subprocess.Popen(line, stdout=log, stderr=log) for line in commands]
            yield f"tcp://{address}:{PORT}"
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait()


def made(length: int) -> Any:
    return np.arange(float(length))


def total(value: Any) -> float:
    return float(np.asarray(value).sum())


def change(value: Any) -> float:
    value[:10] = -1
    return float(value[:10].sum())


def first_ten(value: Any) -> float:
    return float(value[:10].sum())


def frame(length: int) -> Any:
    import pandas as pd

    return pd.DataFrame({"x": np.arange(float(length)), "y": 1.0})


def sum_of_columns(value: Any) -> float:
    return float(value.sum().sum())


def arena_id() -> str:
    return f"{scamem.default().arena_id:x}"


def objects_left() -> int:
    gc.collect()
    arena = scamem.default()
    arena.reap(loans=True)
    return len(arena.objects())


def evict(dask_worker: Any) -> int:
    """Spill all values of a worker; return how many there were."""
    count = 0
    while dask_worker.data.fast:
        dask_worker.data.evict()
        count += 1
    return count


class Story:
    """The steps, each with what it saw."""

    def __init__(self, client: Client) -> None:
        self.client = client
        info = client.scheduler_info(n_workers=-1)["workers"]
        self.workers = {about["name"]: address for address, about in info.items()}
        self.before = self.counts()

    def counts(self) -> dict[str, dict[str, int]]:
        found = self.client.run(sharing.counts)
        return {name: found[at] for name, at in self.workers.items() if at in found}

    def moved(self) -> dict[str, list[int]]:
        """What each worker has sent and received as handles since the last call."""
        now, before = self.counts(), self.before
        self.before = now
        return {
            name: [count[k] - before.get(name, count)[k] for k in ("sent", "received")]
            for name, count in sorted(now.items())
        }

    def on(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        return self.client.submit(
            function, *args, workers=[self.workers[name]], pure=False, allow_other_workers=False
        )

    def results(self, function: Callable[..., Any], value: Any) -> list[Any]:
        return [self.on(name, function, value).result() for name in sorted(self.workers)]

    def arenas(self) -> Any:
        found = self.client.run(arena_id)
        return [found[self.workers[name]] for name in "abcd"] + [arena_id()]

    def peers(self) -> Any:
        value = self.on("a", made, LENGTH)
        return self.results(total, value), self.moved()

    def broadcast(self) -> Any:
        value = self.client.scatter(np.ones(LENGTH), broadcast=True)
        held = len(self.client.who_has([value])[value.key])
        return held, self.results(total, value), self.moved()

    def direct(self) -> Any:
        sent = sharing.counts()["sent"]
        value = self.client.scatter(np.ones(LENGTH), workers=[self.workers["a"]], direct=True)
        back = self.client.gather(value, direct=True)
        return sharing.counts()["sent"] - sent, total(back), sharing.counts()["received"] > 0

    def own_copies(self) -> Any:
        value = self.on("a", made, LENGTH)
        wait(self.client.submit(total, value, workers=[self.workers["b"]], pure=False))
        changed = self.on("b", change, value).result()
        return changed, self.on("a", first_ten, value).result()

    def frames(self) -> Any:
        value = self.on("a", frame, LENGTH)
        self.moved()
        return self.results(sum_of_columns, value), self.moved()["b"][1] > 0

    def spilled(self) -> Any:
        value = self.on("a", made, LENGTH)
        copy = self.on("b", total, value).result()
        count = self.client.run(evict, workers=[self.workers["a"], self.workers["b"]])
        return copy, min(count.values()) > 0, self.results(total, value)

    def retired(self) -> Any:
        value = self.client.scatter(np.ones(LENGTH), workers=[self.workers["b"]])
        self.client.retire_workers([self.workers.pop("b")])
        return self.results(total, value)

    def killed(self) -> Any:
        value = self.on("a", made, LENGTH)
        again = self.client.submit(np.negative, value, pure=False)
        wait(again)
        pid = self.client.run(os.getpid, workers=[self.workers["a"]])[self.workers["a"]]
        os.kill(pid, signal.SIGKILL)
        while True:  # its nanny starts another one
            info = self.client.scheduler_info(n_workers=-1)["workers"]
            found = {about["name"]: address for address, about in info.items()}
            if found.get("a", self.workers["a"]) != self.workers["a"]:
                break
            time.sleep(0.05)
        self.workers = found
        arenas = self.client.run(arena_id, workers=[found["a"]])
        value = self.on("a", made, LENGTH)
        received = sharing.counts()["received"]
        back = total(self.client.gather(value, direct=True))
        return back, list(arenas.values()) == [arena_id()], sharing.counts()["received"] - received

    def rechunked(self) -> Any:
        from dask import array

        made = array.arange(1 << 20, chunks=1 << 18).reshape(1 << 10, 1 << 10)
        return float(made.T.rechunk((1 << 10, 1 << 8)).dot(made).trace().compute())

    def left(self) -> Any:
        while any(self.client.run(objects_left).values()) or objects_left():
            time.sleep(0.05)
        return 0


STEPS = (
    "arenas", "peers", "broadcast", "direct", "own_copies", "frames", "spilled", "rechunked",
    "retired", "killed", "left",
)  # fmt: skip


def main(second: str, address: str, place: str) -> None:
    seen: dict[str, Any] = {}
    with processes(second, address, place) as scheduler, Client(scheduler, timeout=60) as client:
        client.wait_for_workers(4, timeout=90)
        sharing.register(client)
        story = Story(client)
        for step in STEPS:
            seen[step] = getattr(story, step)()
    seen["alone"] = len(scamem.default().objects())
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
