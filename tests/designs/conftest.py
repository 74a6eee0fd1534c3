"""The whole table, run once for all tests of the designs."""

import pytest

from scamem.designs import ArenaLayout, Verdict, designs, verdicts


@pytest.fixture(scope="session")
def all_cells() -> list[Verdict]:
    """Every scenario against the ten designs and the arena's layout."""
    return verdicts([*designs(), ArenaLayout()])


@pytest.fixture(scope="session")
def cells(all_cells: list[Verdict]) -> list[Verdict]:
    """Every scenario against the ten designs."""
    return [cell for cell in all_cells if cell.design != ArenaLayout.name]
