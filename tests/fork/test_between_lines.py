"""A fork by another thread, at every line that an operation runs: the child can do it as well.

The fork is made by the operation's own thread, between two of its lines. The child goes on as the
child of another thread would: from where the fork was made, the operation never ending in it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import scamem

SOURCES = str(Path(scamem.__file__).parent)
CAPACITY_BYTES = 8 << 20
FRAME_BYTES = 4096
PIECES = 64

Held = tuple[scamem.Arena, scamem.Scamem, scamem.Scamem]
OPERATIONS: dict[str, Callable[[Held], Any]] = {
    "a view": lambda held: held[1].map(),
    "a view that cannot be written": lambda held: held[1].map(writable=False),
    "a stitched view": lambda held: held[2].map(),
    "a stitched view that cannot be written": lambda held: held[2].map(writable=False),
    "an array": lambda held: held[0].full(FRAME_BYTES, 7, np.uint8),
    "put and get": lambda held: held[0].get(held[0].put(bytes([7]) * FRAME_BYTES)),
}


class Forks:
    """Forks at each line of the library that a call runs, and what became of the children."""

    def __init__(self, body: Callable[[], object]) -> None:
        self.body = body
        self.failed: list[str] = []
        self.seen: set[str] = set()  # once a line is enough

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if event == "line" and where not in self.seen:
            self.seen.add(where)
            sys.settrace(None)
            self.fork(where)
            sys.settrace(self.trace)
        return self.trace

    def fork(self, where: str) -> None:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                self.body()
                status = 0
            finally:
                os._exit(status)
        status = os.waitpid(pid, 0)[1]
        if status:
            self.failed.append(f"{where} ended with {status:#x}")

    def run(self) -> None:
        self.body()  # what it imports is there: a fork waits for imports of other threads
        sys.settrace(self.trace)
        try:
            self.body()
        finally:
            sys.settrace(None)


def scattered(arena: scamem.Arena) -> Held:
    """The arena; an object of one run and one of several, each full of the number 7."""
    rest = [arena.alloc(FRAME_BYTES) for _ in range(PIECES)]
    rest.append(arena.alloc(CAPACITY_BYTES - PIECES * FRAME_BYTES))  # nothing but holes is left
    del rest[:PIECES:2]
    held = arena, arena.alloc(FRAME_BYTES), arena.alloc(16 * FRAME_BYTES)
    for obj in held[1:]:
        memoryview(obj.map())[:] = bytes([7]) * obj.nbytes
    assert len(held[2].runs) == 16
    return held


@pytest.mark.skipif(sys.gettrace() is not None, reason="another tracer is at work")
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_child_of_another_thread_can_do_it_too(name: str) -> None:
    with scamem.Arena.create(capacity=CAPACITY_BYTES) as arena:
        held = scattered(arena)

        def body() -> None:
            looked = np.frombuffer(OPERATIONS[name](held), np.uint8)
            assert len(looked) >= FRAME_BYTES
            assert (looked == 7).all()

        forks = Forks(body)
        forks.run()
        assert forks.seen
        assert not forks.failed
        assert arena.check() == []
