"""A place of its own for each test's segments; at its end, nothing may be left there."""

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

import scamem
from scamem.shared_memory import keeping
from tests.death.conftest import nursery

__all__ = ["nursery", "segments"]


@pytest.fixture
def segments(place: Path) -> Iterator[Path]:
    """The folder of the arena of segments, which is empty; none may be left in it afterwards."""
    keeping._joined = None
    yield place
    gc.collect()
    keeping.drop_unlinked(1000)
    with contextlib.suppress(scamem.ArenaNotFoundError):
        arena = scamem.Arena.join(keeping.ARENA)
        try:
            assert list(arena) == []
            assert arena.stats().objects == 0
            assert arena.check() == []
        finally:
            keeping.kept.clear()
            arena.close()
