"""Each transaction is stopped after each of its stores, while other members continue."""

from collections.abc import Iterator

import pytest

from tests.explore import figures
from tests.explore.arena import Violation
from tests.explore.crash import Scenario
from tests.explore.interpreted import Core
from tests.explore.scenarios import SCENARIOS
from tests.explore.stopped import Tally, explore


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """The totals of all scenarios, printed at the end."""
    tally = Tally()
    yield tally
    figures.say(
        f"stopped members: {tally.stops:,} stops, {tally.inside:,} of them inside the lock, others "
        f"worked in {tally.worked:,}, and tried {tally.owned:,} times to finish what is another's"
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_stopped_and_continued(scenario: Scenario, core: Core, tally: Tally) -> None:
    explore(core, scenario, tally)


def test_all_happened(tally: Tally) -> None:
    assert min(tally.stops, tally.inside, tally.worked, tally.owned) > 0, tally


OBJECT_FAULT = (
    "        and value >> L.OBJECT_OWNER_SHIFT & L.MASK_16 == mine[L.MINE_SLOT]\n"
    "        and value >> L.SHIFT_32 == mine[L.MINE_INCARNATION] & L.MASK_32\n"
)
SECTION_FAULT = (
    "    if arena[L.CHANGING] >> L.SHIFT_32 != mine[L.MINE_SLOT]:\n"
    "        return L.NOT_OWNER\n"
    "    if arena[L.CHANGING_INCARNATION] != mine[L.MINE_INCARNATION]:\n"
    "        return L.NOT_OWNER\n"
)


@pytest.mark.parametrize(
    ("module", "old", "new", "scenario"),
    [
        ("objects", OBJECT_FAULT, "", "alloc.large"),
        ("frames/sections", SECTION_FAULT, "", "online.begin"),
    ],
)
def test_a_fault_is_caught(module: str, old: str, new: str, scenario: str) -> None:
    """Without the check of the owner, another member finishes what a stopped member owns."""
    faulty = Core({module: [(old, new)]})
    found = next(one for one in SCENARIOS if one.name == scenario)
    with pytest.raises(Violation, match=r"stopped: "):
        explore(faulty, found, Tally())
    faulty.forget()
