"""An arena for each test, and another process in it where a test asks for one."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

import scamem
from tests.arrays.arenas import arena
from tests.backing.children import child
from tests.handles.workers import answering

__all__ = ["arena"]


@pytest.fixture
def member(arena: scamem.Arena) -> Iterator[int]:
    """The pid of another process that is a member of the arena."""
    with child(answering(lambda: None)) as other:
        other.hear()
        yield other.pid


@pytest.fixture
def unread(arena: scamem.Arena) -> Iterator[scamem.Arena]:
    """An arena in which a test may leave handles that nobody has read."""
    yield arena
    gc.collect()  # exceptions that the test looked at are in cycles
    arena.transit_grace_s = 0
    arena.reap(loans=True)
