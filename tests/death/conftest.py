"""Nurseries of both builds, one for all tests of the folder."""

import os
from collections.abc import Iterator

import pytest

from tests.death.nursery import ROOT, Nursery


def installed_environment() -> dict[str, str]:
    """What a process needs to import the library as this one does, and the tests."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Processes that run the installed library."""
    made = Nursery(installed_environment())
    yield made
    made.close()


@pytest.fixture(scope="session")
def stop_nursery(stop_environment: dict[str, str]) -> Iterator[Nursery]:
    """Processes that can be made to stop at a chosen store."""
    made = Nursery(stop_environment)
    yield made
    made.close()
