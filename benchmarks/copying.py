"""Copying 256 MiB in and sending it, compared with np.copyto into warm memory."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

import scamem

from .harness import Report
from .partner import process_of
from .peers import NOT_HERE, PEERS, Bytes, Receiver, Sender

LARGE_BYTES = 256 << 20
QUICK_BYTES = 4 << 20


def copy_in(report: Report) -> None:
    """Copy 256 MiB in, receive and release it; alternate with the plain copy."""
    nbytes = QUICK_BYTES if report.quick else LARGE_BYTES
    what = f"{nbytes >> 20} MiB"
    source: Bytes = np.arange(nbytes, dtype=np.uint8)
    warm: Bytes = np.zeros(nbytes, np.uint8)
    runs = report.runs(15)

    def plain() -> None:
        np.copyto(warm, source)

    for peer in PEERS:
        missing = peer.reason_missing()
        if missing:
            report.missing(what, peer.name, missing)
            continue
        if peer.name == "pickle":
            pickled(report, what, source, plain, runs)
            continue
        sender = peer.sender(nbytes, 1)
        receiver = peer.receiver(sender.address())

        operation = functools.partial(hand_over, sender, receiver, source)
        add_against(report, what, peer.name, operation, plain, runs)
        receiver.close()
        sender.close()
    arena = scamem.Arena.create(capacity=4 * nbytes)

    def by_array() -> None:
        scamem.from_handle(bytes(scamem.handle(arena.array(source))))

    add_against(report, f"{what}, array() instead of put()", "scamem", by_array, plain, runs)
    arena.close()
    for name, why in NOT_HERE:
        report.missing(what, name, why)


def hand_over(sender: Sender, receiver: Receiver, source: Bytes) -> None:
    """Copy in, receive, release."""
    token = sender.put(source)
    receiver.get(token)
    sender.release(token)


def add_against(
    report: Report,
    what: str,
    who: str,
    operation: Callable[[], object],
    plain: Callable[[], object],
    runs: int,
    note: str = "",
) -> None:
    """Measure both alternately; report the speed relative to the plain copy."""
    times, plain_times = [], []
    for run in range(runs + 2):
        start = time.perf_counter()
        plain()
        middle = time.perf_counter()
        operation()
        end = time.perf_counter()
        if run >= 2:
            plain_times.append(middle - start)
            times.append(end - middle)
    ratios = [one / other for one, other in zip(plain_times, times, strict=True)]
    budget = 1.0 if who == "scamem" else None
    report.add(
        f"{what}: speed against np.copyto",
        ratios,
        who=who,
        unit="x",
        budget=budget,
        at_least=True,
        note=note,
    )
    report.add(f"{what}: time", times, who=who)
    gc.collect()


def pickled(
    report: Report, what: str, source: Bytes, plain: Callable[[], object], runs: int
) -> None:
    """Send a pickle through a pipe to a process that answers."""
    with process_of(swallow) as (_, pipe):

        def operation() -> None:
            pipe.send(source)
            pipe.recv()

        add_against(report, what, "pickle", operation, plain, min(runs, 5), "over a pipe")
        pipe.send(None)


def swallow(pipe: Connection) -> None:
    """Receive arrays until None arrives."""
    while pipe.recv() is not None:
        pipe.send(1)
