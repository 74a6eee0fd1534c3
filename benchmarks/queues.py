"""Queues and topics: hand-over between processes, beside what others use for it."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

import scamem

from .harness import Report

MEBIBYTE = 1 << 20
ANSWER_S = 120.0
SIZES = (("64 B", 64), ("4 KiB", 4096), ("1 MiB", MEBIBYTE), ("64 MiB", 64 * MEBIBYTE))
LIMIT = 1000  # items that a queue may have
CONTEXT: Any = multiprocessing.get_context("fork")


class PipeQueue:
    """multiprocessing.Pipe with the methods of a queue, for one sender and one receiver."""

    def __init__(self) -> None:
        self._reader, self._writer = CONTEXT.Pipe(duplex=False)
        self.put = self._writer.send
        self.get = self._reader.recv


def faster_fifo() -> Any:
    """Return a queue of faster-fifo."""
    kind: Any = importlib.import_module("faster_fifo").Queue
    return kind(max_size_bytes=256 * MEBIBYTE, maxsize=LIMIT)


def peers(arena: scamem.Arena) -> dict[str, Callable[[], Any]]:
    """Return what makes a queue of each library."""
    found: dict[str, Callable[[], Any]] = {
        "scamem": lambda: arena.queue(maxsize=LIMIT),
        "multiprocessing.Queue": lambda: CONTEXT.Queue(LIMIT),
        "multiprocessing.Pipe": PipeQueue,
    }
    if importlib.util.find_spec("faster_fifo"):
        found["faster-fifo"] = faster_fifo
    return found


@contextlib.contextmanager
def running(bodies: list[tuple[Callable[..., object], tuple[Any, ...]]]) -> Iterator[None]:
    """Run functions in forked processes; kill at the end what still runs."""
    processes: list[BaseProcess] = [
        CONTEXT.Process(target=body, args=args, daemon=True) for body, args in bodies
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.join(ANSWER_S)
            process.kill()


def echo(there: Any, back: Any, count: int) -> None:
    """Receive items, and answer each with a small one."""
    for _ in range(count):
        there.get()
        back.put(b"")


def swallow(jobs: Any, done: Any, count: int) -> None:
    """Receive items, and say so at the end."""
    for _ in range(count):
        jobs.get()
    done.put(b"")


def produce(jobs: Any, start: Any, value: Any, count: int) -> None:
    """Put an item often, once told to."""
    start.wait()
    for _ in range(count):
        jobs.put(value)


def value_of(nbytes: int) -> Any:
    """Return what is sent: bytes if they are few, else an array."""
    return bytes(nbytes) if nbytes <= 64 else np.ones(nbytes, np.uint8)


def one_at_a_time(make: Callable[[], Any], nbytes: int, count: int) -> list[float]:
    """Return the seconds of round trips, whose answers are empty."""
    there, back = make(), make()
    value = value_of(nbytes)
    times = []
    with running([(echo, (there, back, count + 5))]):
        for _ in range(count + 5):
            start = time.perf_counter()
            there.put(value)
            back.get()
            times.append(time.perf_counter() - start)
    return times[5:]


def streaming(
    make: Callable[[], Any], nbytes: int, count: int, producers: int, consumers: int
) -> float:
    """Return the seconds for one item."""
    jobs, done = make(), CONTEXT.SimpleQueue()
    start = CONTEXT.Event()
    value = value_of(nbytes)
    each = count // (producers * consumers) * consumers
    bodies: list[tuple[Callable[..., object], tuple[Any, ...]]] = [
        (produce, (jobs, start, value, each)) for _ in range(producers)
    ]
    bodies += [(swallow, (jobs, done, each * producers // consumers)) for _ in range(consumers)]
    with running(bodies):
        begun = time.perf_counter()
        start.set()
        for _ in range(consumers):
            done.get()
        return (time.perf_counter() - begun) / (each * producers)


def streams(
    make: Callable[[], Any], nbytes: int, count: int, shape: tuple[int, int], runs: int
) -> list[float]:
    """Return the seconds for one item, of several runs."""
    return [streaming(make, nbytes, count, *shape) for _ in range(runs)]


def queue(report: Report) -> None:
    """Hand over items of four sizes, one at a time and streaming; ratios to ours first."""
    arena = scamem.Arena.create(capacity="4G")
    makers = peers(arena)
    for text, nbytes in SIZES:
        trips = report.loops(max(3, min(2000, (256 << 20) // nbytes)))
        items = max(16, report.loops(max(8, min(200_000, (1 << 30) // nbytes))))
        runs = report.runs(3)
        round_trip = functools.partial(one_at_a_time, nbytes=nbytes, count=trips)
        one_case(report, f"{text}, round trip", makers, round_trip)
        for shape in ((1, 1), (1, 4), (4, 1)) if nbytes == 64 else ((1, 1),):
            stream = functools.partial(streams, nbytes=nbytes, count=items, shape=shape, runs=runs)
            one_case(report, f"{text}, streaming {shape[0]}:{shape[1]}", makers, stream)
    arena.close()


def one_case(
    report: Report,
    what: str,
    makers: dict[str, Callable[[], Any]],
    measure: Callable[[Callable[[], Any]], list[float]],
) -> None:
    """Measure each library; add first how many times as long each takes, then the seconds."""
    times: dict[str, list[float]] = {}
    for who, make in makers.items():
        if who == "multiprocessing.Pipe" and ("1:4" in what or "4:1" in what):
            continue
        times[who] = measure(make)
    ours = statistics.median(times["scamem"])
    for who, found in times.items():
        if who != "scamem":
            ratio = statistics.median(found) / ours
            report.add(f"{what}: time / ours", [ratio], who=who, unit="x")
    for who, found in times.items():
        report.add(what, found, who=who)


def read_all(topic: scamem.Topic, ready: Any, count: int) -> None:
    """Subscribe, say so, and read some values."""
    reader = topic.subscribe()
    ready.put(b"")
    for _ in range(count):
        reader.get()


def topic(report: Report) -> None:
    """Publish 1 MiB arrays, filled in place, to 1, 4 and 8 subscribers that read each one."""
    arena = scamem.Arena.create(capacity="1G")
    count = max(20, report.loops(2000))
    for subscribers in (1, 4, 8):
        times = []
        for _ in range(report.runs(3)):
            made, ready = arena.topic(history=16, policy="block"), CONTEXT.SimpleQueue()
            bodies = [(read_all, (made, ready, count)) for _ in range(subscribers)]
            frame = made.loan(MEBIBYTE, np.uint8)
            with running(list(bodies)):
                for _ in range(subscribers):
                    ready.get()
                begun = time.perf_counter()
                for _ in range(count):
                    made.publish(frame)
                times.append((time.perf_counter() - begun) / count)
            del made, frame
        report.add(f"1 MiB to {subscribers} subscribers: publish", times)
    arena.close()
