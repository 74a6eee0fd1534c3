"""Arenas, with huge pages and without: real ones, reserved for a test and given back."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

import scamem
from scamem.backing import huge_pages

MIB = 1 << 20
POOL = Path("/proc/sys/vm/nr_hugepages")
PAGES = 24


@pytest.fixture
def arena() -> Iterator[scamem.Arena]:
    """An arena without huge pages, in order at the end."""
    with scamem.Arena.create(capacity=64 * MIB, huge=0) as made:
        yield made
        gc.collect()
        assert made.check() == []


@pytest.fixture
def huge() -> Iterator[scamem.Arena]:
    """An arena with room for more huge pages than there are; some are reserved, and given back."""
    before = POOL.read_text()
    try:
        POOL.write_text(str(int(before) + PAGES))
    except OSError as error:
        pytest.skip(f"huge pages cannot be reserved here: {error}")
    try:
        if int(POOL.read_text()) < int(before) + PAGES:
            pytest.skip("the machine has not so many huge pages in one piece")
        _, free = huge_pages.pool()
        with scamem.Arena.create(capacity=32 * MIB, huge=2 * free * 2 * MIB) as made:
            yield made
            gc.collect()  # what a test still has keeps the pool's pages
            assert made.objects() == []
            assert made.check() == []
    finally:
        POOL.write_text(before)
