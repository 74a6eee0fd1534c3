"""The whole hand-over of arrays of all sizes: copied in, got by another process, read, freed.

All ways take turns in one run, each with a receiver of its own; the other side reads every byte.
The yardstick is a copy of the same bytes to warm private memory.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from .handing_over import text_of_size
from .harness import Report
from .partner import receiver_of
from .peers import PEERS, Bytes, Sender
from .peers.ours import SendsArrays

SIZES = (4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20)
QUICK_SIZES = (4 << 10, 1 << 20)
FASTEST = ("scamem", "pool of segments", "LMDB", "iceoryx2")
TARGETS = {4 << 10: 1.3, 64 << 10: 1.3, 1 << 20: 1.08, 16 << 20: 0.95, 256 << 20: 0.85}
BYTES_A_SIZE = 2 << 30  # copied by each way; at most RUNS
RUNS = 200


@dataclass
class Way:
    """One way, with its sender, its receiver, and the seconds of each step in each round."""

    name: str
    sender: Sender
    pipe: Connection
    steps: list[tuple[float, float, float]] = field(default_factory=list)

    def hand_over(self, array: Bytes) -> None:
        """Put, let the other process get and read it, and release."""
        start = time.perf_counter_ns()
        token = self.sender.put(array)
        put = time.perf_counter_ns()
        self.pipe.send([token])
        get_s = self.pipe.recv()
        back = time.perf_counter_ns()
        self.sender.release(token)
        end = time.perf_counter_ns()
        self.steps.append(((put - start) / 1e9, get_s, (end - back) / 1e9))


def hand_over(report: Report) -> None:
    """Measure every size."""
    for nbytes in QUICK_SIZES if report.quick else SIZES:
        one_size(report, nbytes)


def one_size(report: Report, nbytes: int) -> None:
    """Measure one size by all ways, in turn."""
    what = text_of_size(nbytes)
    array: Bytes = np.arange(nbytes, dtype=np.uint8)
    warm: Bytes = np.zeros(nbytes, np.uint8)
    copies: list[float] = []
    with ExitStack() as stack:
        ways = [way for name in FASTEST for way in ways_of(report, stack, name, nbytes, what)]
        for _ in range(report.runs(min(RUNS, max(8, BYTES_A_SIZE // nbytes))) + 3):
            start = time.perf_counter_ns()
            np.copyto(warm, array)
            copies.append((time.perf_counter_ns() - start) / 1e9)
            for way in ways:
                way.hand_over(array)
    yardstick = statistics.median(copies[3:])
    report.add(f"{what}: a warm copy", copies[3:], who="np.copyto")
    for way in ways:
        rounds = way.steps[3:]
        parts = [statistics.median(times) * 1e6 for times in zip(*rounds, strict=True)]
        report.add(
            f"{what}: times a warm copy",
            [sum(one) / yardstick for one in rounds],
            who=way.name,
            unit="x",
            budget=TARGETS[nbytes] if way.name.startswith("scamem") else None,
            note="put {:.1f} + get and read {:.1f} + free {:.1f} us".format(*parts),
        )


def ways_of(report: Report, stack: ExitStack, name: str, nbytes: int, what: str) -> list[Way]:
    """Start the ways of one library; [] if it is not here."""
    peer = next(peer for peer in PEERS if peer.name == name)
    missing = peer.reason_missing()
    if missing:
        report.missing(f"{what}: incomplete", name, missing)
        return []
    made = []
    makers: list[tuple[str, Callable[[int, int], Any]]] = [(name, peer.sender)]
    if name == "scamem":
        makers = [("scamem, put", peer.sender), ("scamem, array + handle", SendsArrays)]
    for title, make in makers:
        sender = make(nbytes, 1)
        stack.callback(sender.close)
        pipe = stack.enter_context(receiver_of(peer, sender.address(), whole=True))
        made.append(Way(title, sender, pipe))
    return made
