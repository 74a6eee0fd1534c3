"""Every order of the racy accesses of a few actors: lock, drops, lock-free reads, fork."""

from collections.abc import Callable, Iterator

import pytest

from tests.explore import figures
from tests.explore import step_scenarios as T
from tests.explore.interpreted import Core
from tests.explore.migration_steps import migrated
from tests.explore.steps import Counted, Interleaver

SCENARIOS: dict[str, Callable[[Core], Interleaver]] = {
    "lock, one dies": T.lock,
    "lock, three members": lambda core: T.lock(core, members=3, deaths=0),
    "slot handed on, its member died inside": T.handed_on,
    "slot handed on, its member died outside": lambda core: T.handed_on(core, inside=False),
    "a member leaves": T.left,
    "a member leaves, another reaps": lambda core: T.left(core, reaper=True),
    "drops": T.drops,
    "drop pushed while a popper dies": T.pushed_meanwhile,
    "page_to_scamem": T.pages,
    "fork against a thread": T.fork,
    "a reader of runs, one run so far": lambda core: T.grafted(core, runs=1),
    "a reader of runs": T.grafted,
    "a living member is not reaped": T.living,
    "a thread writes while its process migrates": migrated,
}
DEEP: dict[str, Callable[[Core], Interleaver]] = {
    "lock, two die": lambda core: T.lock(core, members=3, deaths=2),
    "slot handed on, one dies": lambda core: T.handed_on(core, deaths=1),
    "a member leaves, one dies": lambda core: T.left(core, deaths=1),
    "drops, one dies": lambda core: T.drops(core, deaths=1),
}


@pytest.fixture(scope="module")
def total() -> Iterator[Counted]:
    total = Counted()
    yield total
    figures.say(
        f"access interleaver: {total.states:,} states, {total.transitions:,} transitions, "
        f"{total.ends:,} ends judged"
    )


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", [*SCENARIOS, *DEEP])
def test_every_order(name: str, core: Core, total: Counted, deep: bool) -> None:
    if name in DEEP and not deep:
        pytest.skip("only in `make explore`")
    counted = (SCENARIOS | DEEP)[name](core).explore()
    assert counted.ends
    total.states += counted.states
    total.transitions += counted.transitions
    total.ends += counted.ends
