"""Frozen from an iterator: in little private memory, whatever the iterator does with its items."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import Talk, child
from tests.datasets.shapes import Pair, Point

COUNT = 200_000


def anonymous_bytes() -> int:
    """Private memory of this process."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:")) << 10


def test_little_private_memory(arena: scamem.Arena) -> None:
    peak = 0

    def produce() -> Iterator[dict[str, Any]]:
        nonlocal peak
        for k in range(COUNT):
            if k % 10_000 == 0:
                peak = max(peak, anonymous_bytes())
            yield {"n": k, "text": f"{k:0100}"}

    arena.freeze(produce())  # the allocator keeps what one run needs
    before = anonymous_bytes()
    peak = 0
    frozen = arena.freeze(produce())
    assert frozen.column("n").tolist() == list(range(COUNT))
    assert frozen._column.source.nbytes > 20 << 20
    assert peak - before < 8 << 20


def test_long_keys_are_not_kept(arena: scamem.Arena) -> None:
    """What is written once, and looked up from then on, is bounded by its characters."""
    tracemalloc.start()
    try:
        arena.freeze({"x" * 50_000 + str(k): k} for k in range(400))
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


def reused(kind: str) -> Iterator[Any]:
    """Yield one object again and again, changed in between."""
    array, items = np.zeros(3), [0]
    row: dict[str, Any] = {"n": 0, "of": [0]}
    point = Point(0, [0])
    for k in range(3000):
        array[:] = k
        items[0] = row["n"] = row["of"][0] = point.x = point.y[0] = k
        yield {"array": array, "list": items, "row": row, "point": point}[kind]


@pytest.mark.parametrize(
    ("kind", "look"),
    [
        ("array", lambda item: item[0]),
        ("list", lambda item: item[0]),
        ("row", lambda item: item["of"][0]),
        ("point", lambda item: item.y[0]),
    ],
)
def test_an_item_that_is_used_again(arena: scamem.Arena, kind: str, look: Any) -> None:
    frozen = arena.freeze(reused(kind))
    assert [look(item) for item in frozen] == list(range(3000))


@pytest.mark.parametrize(
    "make", [lambda k: Point(k, str(k)), lambda k: Pair(k, None), lambda k: None, lambda k: [k] * 3]
)
def test_items_of_every_kind(arena: scamem.Arena, make: Any) -> None:
    expected = [make(k) for k in range(3000)]
    assert arena.freeze(map(make, range(3000))) == expected
    assert arena.freeze(iter([])) == []


def test_progress(arena: scamem.Arena) -> None:
    said: list[tuple[int, int | None]] = []
    arena.freeze(list(range(20_000)), progress=lambda *both: said.append(both))
    assert said == [(8192, 20_000), (16_384, 20_000), (20_000, 20_000)]
    said.clear()
    arena.freeze((k for k in range(2000)), progress=lambda *both: said.append(both))
    assert said == [(1024, None), (2000, 2000)]
    arena.freeze(list(range(10)), progress=True)
    with pytest.raises(TypeError, match="progress"):
        arena.freeze([1], progress=1)


def test_an_iterator_that_fails_leaves_nothing(arena: scamem.Arena) -> None:
    def produce() -> Iterator[str]:
        yield from (f"{k:0100}" for k in range(20_000))
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        arena.freeze(produce())
    assert arena.stats().objects == 0


def test_no_memory_leaves_nothing() -> None:
    with scamem.Arena.create(capacity=8 << 20) as arena:
        with pytest.raises(scamem.OutOfMemoryError, match="capacity"):
            arena.freeze(f"{k:0100}" for k in range(200_000))
        assert arena.stats().objects == 0
        assert arena.freeze(list(range(100_000))) == list(range(100_000))


def test_killed_while_it_freezes(arena: scamem.Arena) -> None:
    def body(talk: Talk) -> None:
        def produce() -> Iterator[str]:
            yield from (f"{k:0100}" for k in range(50_000))
            talk.say("half")
            talk.hear()

        arena.freeze(produce())

    with child(body) as freezer:
        assert freezer.hear() == "half"
        os.kill(freezer.pid, signal.SIGKILL)
        freezer.wait()
    assert arena.stats().objects == 0
    assert arena.check() == []
