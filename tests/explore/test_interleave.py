"""Every order of operations, to a depth, against the reference model."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.explore import figures
from tests.explore.facts import counts_of
from tests.explore.families import areas, everything, moving, objects, sections
from tests.explore.interleave import Exploration, replay, step
from tests.explore.interpreted import Core
from tests.explore.operations import Pair

# family, members, deaths, depth: in `make test`
RUNS = (
    (objects, 3, 2, 4),
    (areas, 3, 2, 5),
    (sections, 3, 2, 4),
    (moving, 3, 2, 4),
    (everything, 2, 1, 3),
    (everything, 3, 2, 3),
)
# in `make explore`: each completely, the last one up to LAST_STATES
DEEP = (
    (areas, 3, 2, 8),
    (sections, 3, 2, 6),
    (moving, 3, 2, 7),
    (objects, 3, 2, 8),
    (everything, 2, 1, 4),
    (everything, 3, 2, 8),
)
STATES_MAX = 10_000_000
LAST_STATES = 1_000_000
# without merging (except states with the same words), and without passing over members
UNMERGED = (
    (objects, 3, 2, 3),
    (areas, 3, 2, 3),
    (sections, 2, 2, 2),
    (moving, 3, 2, 2),
    (everything, 2, 2, 2),
)
UNMERGED_DEEP = (
    (objects, 3, 2, 4),
    (areas, 3, 2, 4),
    (sections, 3, 2, 4),
    (moving, 3, 2, 4),
    (everything, 3, 2, 3),
)


@pytest.fixture(scope="module")
def reached() -> Iterator[set[bytes]]:
    """The states that all runs reached; a state of several families counts once."""
    reached: set[bytes] = set()
    yield reached
    figures.say(f"interleaving explorer: {len(reached):,} states in all")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(len(RUNS)))
def test_every_order_agrees_with_the_model(
    number: int, core: Core, deep: bool, reached: set[bytes]
) -> None:
    family, members, deaths, depth = (DEEP if deep else RUNS)[number]
    exploration = Exploration(core, members, deaths, family)
    last = deep and number == len(DEEP) - 1
    whole = exploration.explore(depth, LAST_STATES if last else STATES_MAX, print)
    said = exploration.figures(whole, whole == depth)
    figures.say(f"interleaving explorer, {family.__name__}, {said}")
    assert whole == depth or (last and len(exploration.reached) > LAST_STATES)
    reached |= exploration.reached


def told_apart(pair: Pair) -> tuple[Any, ...]:
    """Return the reference model's own key of a state, independent of its words and form."""
    model = pair.model
    lent = Counter(model.loans.values())
    members = [
        (
            (member in model.dead, member == model.changing),
            sorted(
                (obj.frames, sorted(held.items()), lent[key, member])
                for key, obj in model.objects.items()
                for holder, held in counts_of(obj, model.dead).items()
                if holder == member
            ),
        )
        for member in model.members
    ]
    named = set(model.names.values())
    objects = [
        (obj.frames, obj.live, obj.tainted, obj.promised, key in named, lent[key, None])
        for key, obj in model.objects.items()
    ]
    memory = [sorted(some) for some in (model.frames, model.online, model.memory, model.perhaps)]
    return repr(sorted(members)), tuple(sorted(objects)), repr(memory), pair.deaths


@dataclass
class Watched(Exploration):
    """Keeps the model's keys of all states that it meets."""

    met: set[tuple[Any, ...]] = field(default_factory=set)

    def is_new(self, pair: Pair) -> bool:
        self.met.add(told_apart(pair))
        return super().is_new(pair)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(len(UNMERGED)))
def test_merging_states_loses_none(number: int, core: Core, deep: bool) -> None:
    """Exploring every state whose words differ meets the same forms (canonical.py)."""
    family, members, deaths, depth = (UNMERGED_DEEP if deep else UNMERGED)[number]
    merged = Watched(core, members, deaths, family)
    apart = Watched(core, members, deaths, family, merge=False)
    for exploration in (merged, apart):
        assert exploration.explore(depth, STATES_MAX) == depth
    figures.say(
        f"merging of states, {family.__name__}, {members} members, {deaths} deaths, to depth "
        f"{depth}: {len(apart.gone):,} states make {len(merged.reached):,} forms, the same ones"
    )
    assert merged.met == apart.met
    assert merged.reached == apart.reached
    assert len(apart.gone) > len(merged.reached)


@pytest.mark.parametrize("way", ["3 alloc1; 3 lend1 dies@7; 4 reap3; 4 alloc3; 4 trim0 dies@30"])
def test_a_state_is_kept_whole(way: str, core: Core) -> None:
    """A state that is packed until it is explored is the same after it is unpacked."""
    exploration = Exploration(core, 3, merge=False)
    pair = exploration.first()
    for label in way.split("; "):
        pair = step(exploration, pair, label)
        again = exploration.unpack(exploration.pack(pair))
        assert exploration.key(again) == exploration.key(pair)
        assert exploration.words(again.world) == exploration.words(pair.world)
        assert again.model == pair.model


def test_a_trace_can_be_run_again(core: Core) -> None:
    replay(core, "3 alloc1; 3 lend1; 3 drop1hand dies@4; 4 reap3; 4 load1; 4 drop1hand")


def test_loans_expire_one_by_one(core: Core) -> None:
    """A death between two loans leaves one; the lender's reaper had died before."""
    replay(core, "5 alloc3; 5 lend1; 5 lend1 dies@39; 4 reap5; 3 expire", 3)


def test_a_dead_lender_who_had_io_under_way(core: Core) -> None:
    """Its record turns over and loses its counts; the mark was set before."""
    replay(core, "5 alloc2; 5 lend1; 5 io1 dies@1; 4 reap5", 3)


def test_a_slot_reaped_by_one_who_died_is_free(core: Core) -> None:
    replay(core, "5 online1 dies@66; 4 reap5 dies@20; 3 fork", 3)
