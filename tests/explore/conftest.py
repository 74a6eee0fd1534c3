"""One interpreted core for all tests of this folder that do not change it."""

import pytest

from tests.explore import figures
from tests.explore.interpreted import Core


@pytest.fixture(scope="session")
def core() -> Core:
    """The core's sources, unchanged, interpreted."""
    return Core()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the explorers counted."""
    for line in figures.LINES:
        terminalreporter.write_line(line)
