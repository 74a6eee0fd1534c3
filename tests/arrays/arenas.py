"""The arena that a test works in, and what must be left of it."""

import gc
from collections.abc import Iterator

import pytest

import scamem

CAPACITY_BYTES = 256 << 20


@pytest.fixture
def arena() -> Iterator[scamem.Arena]:
    """An anonymous arena, in which the test leaves nothing."""
    with scamem.Arena.create(capacity=CAPACITY_BYTES) as made:
        yield made
        if made.objects():
            gc.collect()  # exceptions that a test looked at are in cycles
        assert made.objects() == []
        assert made.stats().loans == 0
