"""The explorers are tested too: each seeded fault is caught, by the rule that it breaks."""

import re
from pathlib import Path

import pytest

from tests.explore import (
    faults,
    figures,
    loan_faults,
    migration_faults,
    model_faults,
    procedure_faults,
    sync_faults,
    weak_faults,
    weak_scenarios,
)
from tests.explore.arena import Violation
from tests.explore.faults import Fault
from tests.explore.interpreted import CORE, Core
from tests.explore.refusals import REFUSALS
from tests.model.reference import Disagreement

FAULTS = (
    *faults.FAULTS,
    *loan_faults.FAULTS,
    *migration_faults.FAULTS,
    *model_faults.FAULTS,
    *procedure_faults.FAULTS,
    *sync_faults.FAULTS,
    *weak_faults.FAULTS,
)
FAULTS_MIN = 20


@pytest.mark.timeout(0)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_is_caught(fault: Fault) -> None:
    core = Core(fault.changes())
    try:
        with pytest.raises((Violation, Disagreement)) as caught:
            fault.check(core)
    finally:
        core.forget()
    assert re.match(fault.rule, str(caught.value)), str(caught.value)


STORIES = [*REFUSALS, *weak_scenarios.REFUSALS]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_what_must_be_refused(story: object, core: Core) -> None:
    assert callable(story)
    story(core)


def test_there_are_enough() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= FAULTS_MIN
    figures.say(f"seeded faults: {len(FAULTS)}, each caught by the rule it breaks")


def test_the_docs_list_them(root: Path) -> None:
    text = (root / "docs" / "reliability.md").read_text()
    assert [fault.name for fault in FAULTS if f"| {fault.name} |" not in text] == []


def test_the_sources_are_as_they_were() -> None:
    """Faults are seeded in memory: each changed place is still in the file, exactly once."""
    for fault in FAULTS:
        for module, changes in fault.changes().items():
            text = (CORE / f"{module}.py").read_text()
            assert all(text.count(old) == 1 for old, _ in changes), fault.name
