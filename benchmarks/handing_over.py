"""Sending arrays to another process: 4 KiB copied in, and any size filled in place."""

from __future__ import annotations

import functools
import statistics
import time
from multiprocessing.connection import Connection

import numpy as np

import scamem

from .harness import Report, measure
from .partner import process_of, receiver_of
from .peers import NOT_HERE, PEERS, Bytes, Peer, Receiver, Sender

ARRAY_BYTES = 4096
BUDGET_S = 4e-6
AT_ONCE = 100
KIBIBYTE = 1 << 10
ALONE, BATCH = "one at a time", f"{AT_ONCE} at a time"


def one_process(report: Report) -> None:
    """Put, get and release, all in this process."""
    array: Bytes = np.ones(ARRAY_BYTES, np.uint8)
    what = "4 KiB: put + get"
    for peer in PEERS:
        missing = peer.reason_missing()
        if missing:
            report.missing(what, peer.name, missing)
            continue
        sender = peer.sender(ARRAY_BYTES, 2)
        receiver = peer.receiver(sender.address())

        operation = functools.partial(hand_over, sender, receiver, array)
        loops = report.loops(200 if peer.name == "SharedMemory" else 3000)
        timing = measure(operation, loops, report.runs(25))
        ours = peer.name == "scamem"
        report.add(what, timing, who=peer.name, budget=BUDGET_S if ours else None, note=peer.note)
        receiver.close()
        sender.close()
    for name, why in NOT_HERE:
        report.missing(what, name, why)


def hand_over(sender: Sender, receiver: Receiver, array: Bytes, count: int) -> None:
    """Copy in, receive and release, `count` times."""
    put, get, release = sender.put, receiver.get, sender.release
    for _ in range(count):
        token = put(array)
        get(token)
        release(token)


def two_processes(report: Report) -> None:
    """Send from process to process: both sides' times, without the pipe that carries the token."""
    for peer in PEERS:
        missing = peer.reason_missing()
        if missing:
            report.missing("4 KiB", peer.name, missing)
            continue
        slow = peer.name == "SharedMemory"
        add_both_sides(report, peer, BATCH, AT_ONCE, report.runs(20 if slow else 60))
        add_both_sides(report, peer, ALONE, 1, report.runs(200))
    for name, why in NOT_HERE:
        report.missing("4 KiB", name, why)


def add_both_sides(report: Report, peer: Peer, what: str, at_once: int, runs: int) -> None:
    """Measure put and release here, get there; a run is one message of `at_once` tokens."""
    array: Bytes = np.ones(ARRAY_BYTES, np.uint8)
    sender = peer.sender(ARRAY_BYTES, at_once)
    puts, gets, releases = [], [], []
    with receiver_of(peer, sender.address()) as pipe:
        for run in range(runs + 5):
            start = time.perf_counter_ns()
            tokens = [sender.put(array) for _ in range(at_once)]
            put_s = (time.perf_counter_ns() - start) / at_once / 1e9
            pipe.send(tokens)
            get_s = pipe.recv()
            start = time.perf_counter_ns()
            for token in tokens:
                sender.release(token)
            release_s = (time.perf_counter_ns() - start) / at_once / 1e9
            if run >= 5:  # joining, opening, first touches
                puts.append(put_s)
                gets.append(get_s)
                releases.append(release_s)
    sender.close()
    parts = [f"{statistics.median(times) * 1e6:.2f}" for times in (puts, gets, releases)]
    note = f"put {parts[0]} + get {parts[1]} + release {parts[2]} us"
    report.add(
        f"4 KiB, {what}",
        [sum(times) for times in zip(puts, gets, releases, strict=True)],
        who=peer.name,
        budget=BUDGET_S if peer.name == "scamem" else None,
        note="; ".join(filter(None, (note, peer.note))),
    )


def in_place(report: Report) -> None:
    """Make, send and load a handle of an array that was filled in place."""
    sizes = [4 * KIBIBYTE, 1024 * KIBIBYTE]
    if not report.quick:
        sizes += [64 << 20, 1 << 30]
    arena = scamem.Arena.create(capacity=2 * sizes[-1] + (64 << 20))
    for nbytes in sizes:
        array = arena.empty(nbytes, np.uint8)
        array.fill(1)
        times = in_place_times(array, report.runs(100))
        report.add(f"{text_of_size(nbytes)}: one process to another", times, budget=BUDGET_S)

        def operation(count: int, array: scamem.Array = array) -> None:
            for _ in range(count):
                scamem.from_handle(bytes(scamem.handle(array)))

        timing = measure(operation, report.loops(3000), report.runs(25))
        report.add(f"{text_of_size(nbytes)}: in one process", timing, budget=BUDGET_S)
        del array, operation
    arena.close()


def in_place_times(array: scamem.Array, runs: int) -> list[float]:
    """Return both sides' seconds, without the pipe, in batches as in two_processes."""
    times = []
    with process_of(take_arrays) as (_, pipe):
        for run in range(runs + 5):
            start = time.perf_counter_ns()
            tokens = [bytes(scamem.handle(array)) for _ in range(AT_ONCE)]
            own_s = (time.perf_counter_ns() - start) / AT_ONCE / 1e9
            pipe.send(tokens)
            taken_s = pipe.recv()
            if run >= 5:
                times.append(own_s + taken_s)
        pipe.send(None)
    return times


def take_arrays(pipe: Connection) -> None:
    """Receive lists of handles until None arrives; answer with the seconds for each."""
    while (tokens := pipe.recv()) is not None:
        start = time.perf_counter_ns()
        for token in tokens:
            scamem.from_handle(token)
        pipe.send((time.perf_counter_ns() - start) / len(tokens) / 1e9)


def text_of_size(nbytes: int) -> str:
    """Return a size in KiB, MiB or GiB."""
    for step, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= step:
            return f"{nbytes // step} {name}"
    return f"{nbytes} B"
