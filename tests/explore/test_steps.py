"""Every order of the racy accesses of a few actors: lock, drops, lock-free reads, fork."""

from collections.abc import Callable, Iterator

import pytest

from scamem.core.sync import places as P
from tests.explore import event_scenarios as E
from tests.explore import figures, waiting_stories
from tests.explore import fork_scenarios as F
from tests.explore import queue_steps as Q
from tests.explore import step_scenarios as T
from tests.explore import sync_scenarios as S
from tests.explore.interpreted import Core
from tests.explore.migration_steps import migrated
from tests.explore.steps import Counted, Interleaver

SCENARIOS: dict[str, Callable[[Core], Interleaver]] = {
    "lock, one dies": T.lock,
    "lock, three members": T.crowd,
    "lock, naps end at any moment": T.short_naps,
    "slot handed on, its member died outside": lambda core: T.handed_on(core, inside=False),
    "a member leaves": T.left,
    "a member leaves, another reaps": lambda core: T.left(core, reaper=True),
    "drops": T.drops,
    "page_to_scamem": T.pages,
    "two deallocations": F.two_drops,
    "two threads clean": T.cleaned,
    "one thread cleans, another closes": T.closed_while_cleaning,
    "a waiter gives up": T.gives_up,
    "an event": E.awaited,
    "items wake their waiters": Q.handed_over,
    "two items wake two waiters": Q.two_items,
    "a queue is closed": Q.closed,
    "an item, its producer is dead": Q.left_asleep,
    "an event, its poster is dead": E.left_waiting,
    "reaping with breaths": lambda core: T.reaped(core, deaths=1),
    "fork against a thread": lambda core: F.fork(core, reaper=False),
    "fork against a reaper": lambda core: F.fork(core, thread=False),
    "fork against a deallocation": F.fork_and_drop,
    "a reader of runs, one run so far": lambda core: T.grafted(core, runs=1),
    "a reader of runs": T.grafted,
    "a living member is not reaped": T.living,
    "a thread writes while its process migrates": migrated,
    "lock in a frame, one dies": S.locks,
    "lock in a frame, its holder is dead": S.left_locked,
    "permits": lambda core: S.permits(core, deaths=0),
    "permits, their holder is dead": S.left_with_permits,
    "a reader, the writer is dead": lambda core: S.left_with_permits(core, P.UNITS_ALL),
    "a reader and a writer": lambda core: S.readers_and_writers(core, deaths=0),
    "two sleepers, one is notified": lambda core: S.sleeping(core, deaths=0),
    "a sleeper that was notified is dead": S.left_notified,
    "a barrier": lambda core: S.meeting(core, deaths=0),
    "an event in a frame, one dies": S.event,
    "an update in place, one dies": S.updates,
    "an update in place, its reader claims it": lambda core: S.updates(core, claims=True),
}
DEEP: dict[str, Callable[[Core], Interleaver]] = {
    "drop pushed while a popper dies": T.pushed_meanwhile,
    "the writer is dead, and one that sees to it dies": S.purged_by_one_that_dies,
    "lock in a frame, three members": lambda core: S.locks(core, members=3, deaths=0),
    "lock in a frame, naps end at any moment": lambda core: S.locks(core, 2, 0, 2, short=True),
    "lock in a frame, twice, one dies": lambda core: S.locks(core, times=2),
    "lock in a frame, one gives up": S.given_up,
    "lock in a frame, its holder and another dead": lambda core: S.left_locked(core, deaths=1),
    "permits, one dies": S.permits,
    "permits, three members": lambda core: S.permits(core, members=3, deaths=0),
    "a reader and a writer, one dies": S.readers_and_writers,
    "two sleepers, one dies": S.sleeping,
    "a barrier, one dies": S.meeting,
    "two updates in place": lambda core: S.updates(core, writers=2, deaths=0),
    "two updates in place, one dies": lambda core: S.updates(core, writers=2),
    "lock, three members store": lambda core: T.lock(core, members=3, deaths=0),
    "lock, two die": lambda core: T.lock(core, members=3, deaths=2),
    "drops, two threads": T.two_threads,
    "an event, one dies": lambda core: E.awaited(core, deaths=1),
    "items wake their waiters, two wait": lambda core: Q.handed_over(core, consumers=2),
    "slot handed on, one dies": lambda core: T.handed_on(core, deaths=1, whole=True),
    "slot handed on, its member died inside": T.handed_on,
    "slot handed on, inside": lambda core: T.handed_on(core, whole=True),
    "slot handed on, outside": lambda core: T.handed_on(core, inside=False, whole=True),
    "a member leaves, one dies": lambda core: T.left(core, deaths=1),
    "drops, one dies": lambda core: T.drops(core, deaths=1, whole=True),
    "drops of both": lambda core: T.drops(core, whole=True),
    "fork against both": F.fork,
    "reaping with breaths, one dies": lambda core: T.reaped(core, deaths=1, whole=True),
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


@pytest.mark.parametrize("story", waiting_stories.STORIES, ids=lambda story: story.__name__)
def test_how_a_wait_ends(story: Callable[[Core], None], core: Core) -> None:
    story(core)
