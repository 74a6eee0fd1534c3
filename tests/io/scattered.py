"""Scattered objects, and what belongs in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import scamem

FRAME_BYTES = 4096
FRAMES = 3000  # more runs than one call takes


def scattered(arena: scamem.Arena, frames: int = FRAMES) -> scamem.Scamem:
    """An object whose every frame is a run of its own."""
    pieces = [arena.alloc(FRAME_BYTES) for _ in range(2 * frames)]
    fillers = []
    while arena.stats().longest_free_run > 1:  # so that there is nothing better to be had
        fillers.append(arena.alloc(arena.stats().longest_free_run * FRAME_BYTES))
    del pieces[::2]
    found = arena.alloc(frames * FRAME_BYTES)
    assert len(found.runs) == frames
    return found


def content(nbytes: int, seed: int = 0) -> bytes:
    """Bytes of which no two places are alike."""
    return np.random.default_rng(seed).bytes(nbytes)


def fill(obj: scamem.Scamem, data: bytes) -> None:
    memoryview(obj.map())[: len(data)] = data


def bytes_of(obj: scamem.Scamem) -> bytes:
    return bytes(memoryview(obj.map(writable=False)))


def pieces_of(nbytes: int, step: int) -> Iterator[int]:
    """Sizes that add up, no two alike."""
    left = nbytes
    while left:
        size = min(left, step)
        yield size
        left -= size
        step += 1
