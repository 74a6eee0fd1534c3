"""What runs in the other processes of the tests: functions that their names find."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

import scamem
from scamem.arrays.place import locate
from tests.backing.children import Talk


class Image(scamem.Array):
    """A subclass that both ends know."""


def total(values: Any) -> float:
    return float(np.asarray(values).sum())


def look(values: Any) -> tuple[bool, float, str]:
    """Whether what came lies in an arena, its sum, and its type."""
    shared = isinstance(values, np.ndarray) and locate(values) is not None
    return shared, total(values), type(values).__name__


def fill(values: Any, number: float) -> None:
    values[...] = number


def fill_received(reader: Any, number: float) -> None:
    """Fill what comes from a queue or a connection."""
    fill(reader.get() if hasattr(reader, "get") else reader.recv(), number)


class Clouded:
    """A function that travels by cloudpickle inside a pickle, as executors wrap closures."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        import cloudpickle

        return _unclouded, (cloudpickle.dumps(self.function),)


def _unclouded(data: bytes) -> Clouded:
    return Clouded(pickle.loads(data))


def made_here(length: int) -> Any:
    """An array of this process, in the default arena it finds."""
    return scamem.full(length, 7.0)


def doubled_in_place(values: Any) -> Any:
    values *= 2
    return values[1:]


def send_and_exit(queue: Any, length: int) -> None:
    queue.put(scamem.full(length, 3.0))


def sum_of_queue(inbox: Any, outbox: Any) -> None:
    while (values := inbox.get()) is not None:
        outbox.put(look(values))


def default_arena(_: object = None) -> tuple[int, int]:
    """This process's default arena, and how many processes are its members."""
    arena = scamem.default()
    return arena.arena_id, len(arena.stats().members)


def default_of_a_child(method: str) -> int:
    """The default arena of a child of this process, which has joined it, too."""
    scamem.default()
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        return int(pool.apply(default_arena)[0])


def failure(function: Callable[..., Any], *args: Any) -> BaseException | None:
    """What a call raises; it crosses processes, as all errors of the library do."""
    try:
        function(*args)
    except scamem.ScamemError as error:
        return error
    return None


def answering(make: Callable[[], object]) -> Callable[[Talk], None]:
    """What a forked child runs: it says what `make` returns, and stays until it is told."""

    def body(talk: Talk) -> None:
        talk.say(make())
        talk.hear()

    return body


def unpicklable_result(values: Any) -> Any:
    return [values, lambda: None]


def load_and_sum(data: bytes) -> float:
    return total(pickle.loads(data))


def load_handle(data: bytes) -> float:
    return total(scamem.from_handle(data))


def pid(_: object = None) -> int:
    return os.getpid()
