"""Every order of operations, to a depth, against the reference model."""

import pytest

from tests.explore import figures
from tests.explore.interleave import Exploration, replay
from tests.explore.interpreted import Core
from tests.explore.operations import all_moves_of, frame_moves_of, moves_of

# moves, members, deaths, depth: in `make test`
RUNS = (
    (moves_of, 2, 1, 4),
    (moves_of, 3, 0, 4),
    (frame_moves_of, 2, 1, 4),
    (frame_moves_of, 3, 2, 3),
)
# in `make explore`: as far as states go
DEEP = (
    (moves_of, 2, 2, 9),
    (moves_of, 3, 2, 8),
    (frame_moves_of, 2, 2, 9),
    (all_moves_of, 3, 2, 8),
)
STATES_MAX = 1_500_000


@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(len(RUNS)))
def test_every_order_agrees_with_the_model(number: int, core: Core, deep: bool) -> None:
    moves, members, deaths, depth = (DEEP if deep else RUNS)[number]
    exploration = Exploration(core, members, deaths, moves_of=moves)
    reached = exploration.explore(depth, STATES_MAX)
    figures.say(
        f"interleaving explorer, {moves.__name__}: {exploration.figures(reached, reached == depth)}"
    )
    assert deep or reached == depth


def test_a_trace_can_be_run_again(core: Core) -> None:
    replay(core, "3 alloc1; 3 lend1; 3 drop1hand dies@4; 4 reap; 4 load1; 4 drop1hand")


def test_loans_expire_one_by_one(core: Core) -> None:
    """A death between two of them leaves one; the reaper of the lender had died before."""
    exploration = Exploration(core, 3, 2, all_stores=True)
    pair = exploration.first()
    for label in ["5 alloc3", "5 lend1", "5 lend1 dies@39", "4 reap", "3 expire"]:
        pair = dict(exploration.after(pair, ()))[label]


def test_a_dead_lender_who_had_io_under_way(core: Core) -> None:
    """The counts of its record go with its turning over; the mark was there before."""
    replay(core, "5 alloc2; 5 lend1; 5 io1 dies@1; 4 reap", 3)


def test_a_slot_reaped_by_one_who_died_is_free(core: Core) -> None:
    exploration = Exploration(core, 3, 2, all_stores=True)
    pair = exploration.first()
    for label in ("5 online dies@66", "4 reap dies@20", "3 fork"):
        pair = dict(exploration.after(pair, ()))[label]
