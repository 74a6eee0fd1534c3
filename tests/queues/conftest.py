"""Arenas for queues, and processes of both builds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scamem import Arena
from tests.death.conftest import nursery, stop_nursery

__all__ = ["nursery", "stop_nursery"]


@pytest.fixture
def arena() -> Iterator[Arena]:
    """An anonymous arena, in which nothing is left at the end."""
    made = Arena.create(capacity="64M")
    yield made
    assert made.check() == []
    made.close()


@pytest.fixture
def named(place: Path) -> Iterator[Arena]:
    """A named arena, for processes that are no children."""
    made = Arena.create(str(place / "queues"), capacity="64M", slots=16)
    yield made
    assert made.check() == []
    made.close()
