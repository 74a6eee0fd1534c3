"""Victims, arenas, and a short path for sockets."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays.arenas import arena
from tests.death.conftest import nursery

__all__ = ["arena", "nursery", "sockets"]


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder for sockets; nothing may be left in it."""
    folder = Path(tempfile.mkdtemp(prefix="scamem-"))
    yield folder
    left = sorted(path.name for path in folder.iterdir())
    shutil.rmtree(folder)
    assert left == []
