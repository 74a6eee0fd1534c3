"""An arena for each test."""

import gc
from collections.abc import Iterator

import pytest

import scamem
from tests.arrays.arenas import arena

__all__ = ["arena"]


@pytest.fixture
def unread(arena: scamem.Arena) -> Iterator[scamem.Arena]:
    """An arena in which a test may leave handles that nobody has read."""
    yield arena
    gc.collect()  # exceptions that the test looked at are in cycles
    arena.transit_grace_s = 0
    arena.reap(loans=True)
