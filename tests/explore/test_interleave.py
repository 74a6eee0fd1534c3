"""Every order of operations, to a depth, against the reference model."""

import pytest

from tests.explore import figures
from tests.explore.interleave import Exploration, replay
from tests.explore.interpreted import Core

# members, deaths, depth: in `make test`
RUNS = ((2, 1, 4), (3, 0, 4))
# in `make explore`: as far as states go
DEEP = ((2, 2, 9), (3, 2, 8))
STATES_MAX = 1_500_000


@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(2))
def test_every_order_agrees_with_the_model(number: int, core: Core, deep: bool) -> None:
    members, deaths, depth = (DEEP if deep else RUNS)[number]
    exploration = Exploration(core, members, deaths, all_stores=False)
    reached = exploration.explore(depth, STATES_MAX)
    figures.say(
        f"interleaving explorer: {members} members, {deaths} deaths: depth {reached}, "
        f"{len(exploration.seen):,} states of the last depth, {exploration.transitions:,} "
        f"transitions, {exploration.crashes:,} of them deaths inside an operation"
    )
    assert deep or reached == depth


def test_a_trace_can_be_run_again(core: Core) -> None:
    replay(core, "3 alloc1; 3 lend1; 3 drop1hand dies@4; 4 reap; 4 load1; 4 drop1hand")


def test_a_slot_reaped_by_one_who_died_is_free(core: Core) -> None:
    exploration = Exploration(core, 3, 2, all_stores=True)
    pair = exploration.first()
    for label in ("5 online dies@66", "4 reap dies@20", "3 fork"):
        pair = dict(exploration.after(pair, ()))[label]
