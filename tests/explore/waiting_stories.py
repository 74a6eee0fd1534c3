"""How a wait for the arena's lock ends, and who is blamed: one thread, and a clock set by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scamem.core.store import layout as L
from tests.explore.actors import LIMIT_NS
from tests.explore.arena import Violation
from tests.explore.interpreted import Core
from tests.explore.steps import Interleaver, Run
from tests.explore.world import CREATED_NS, World, new_world

HOUR_NS = 3600 * L.NS_PER_S
LOOKS_MAX = 100_000
STEPS_MAX = 1 << 40  # no other thread runs


@contextmanager
def waiter(core: Core, world: World) -> Iterator[tuple[Run, list[int]]]:
    """The first member at the start of a wait, and its watch; the clock is set by hand."""
    world.arena.begin()
    found = Interleaver(world, [(0, [])], lambda state, core: None)
    run = Run(found.first, 0, core, frozenset())
    run.steps = STEPS_MAX
    watch = [0] * L.WATCH_WORDS
    core.waiting.begin(watch, LIMIT_NS)
    try:
        yield run, watch
    finally:
        core.words.clock[0] = CREATED_NS


def look(run: Run, watch: list[int], lapse_ns: int) -> int:
    """Look again after a nap of `lapse_ns`."""
    run.core.words.clock[0] += lapse_ns
    return int(run.core.waiting.look(run.arena, run.mine, watch))


def held(run: Run, slot: int) -> None:
    """Let a member take the lock, even if another had it: a new acquisition."""
    words = run.state.arena
    words.raw(L.LOCK, (words[L.LOCK] + L.LOCK_TICKET_ONE) & ~(L.LOCK_FLAGS | L.MASK_16) | slot)


def one_holder_is_blamed(core: Core) -> None:
    """A long acquisition is STUCK after the limit, not before."""
    world = new_world(core, members=2)
    with waiter(core, world) as (run, watch):
        held(run, world.members[1].slot)
        looks = 1
        while look(run, watch, L.NAP_NS) == L.BUSY and looks < LOOKS_MAX:
            looks += 1
        if not LIMIT_NS <= (looks - 1) * L.NAP_NS <= LIMIT_NS + 2 * L.NAP_NS:
            raise Violation(f"wait: it ended after {looks} looks")


def a_stopped_waiter_blames_nobody(core: Core) -> None:
    """It was stopped for an hour: in that time, it did not see the lock held."""
    world = new_world(core, members=2)
    with waiter(core, world) as (run, watch):
        held(run, world.members[1].slot)
        for lapse in (L.NAP_NS, HOUR_NS, L.NAP_NS):
            if look(run, watch, lapse) != L.BUSY:
                raise Violation("wait: a stopped waiter blames a holder for the time it was away")


def a_new_holder_is_not_blamed(core: Core) -> None:
    """The lock changes hands all the time: STARVED, late, and nobody is blamed."""
    world = new_world(core, members=3)
    with waiter(core, world) as (run, watch):
        status, spent = L.BUSY, 0
        while status == L.BUSY and spent < 2 * L.STARVED_TIMES * LIMIT_NS:
            held(run, world.members[1 + spent // L.LAPSE_NS % 2].slot)
            status = look(run, watch, L.LAPSE_NS)
            spent += L.LAPSE_NS
            if status == L.STUCK:
                raise Violation("wait: a holder is blamed for the time of those before it")
        if status != L.STARVED or spent < L.STARVED_TIMES * LIMIT_NS:
            raise Violation(f"wait: it has no end, {status:#x} after {spent} ns")


def a_late_look_has_the_lock(core: Core) -> None:
    """The holder is dead; the waiter looks after its limit, and then has both locks."""
    world = new_world(core, members=3)
    with waiter(core, world) as (run, watch):
        living, dead = world.members[1], world.members[2]
        held(run, living.slot)
        while watch[L.WATCH_HELD_NS] < LIMIT_NS - L.NAP_NS:
            look(run, watch, L.NAP_NS)
        watch[L.WATCH_SPENT_NS] = L.STARVED_TIMES * LIMIT_NS - L.NAP_NS
        held(run, dead.slot)
        run.state.processes[2].alive = False
        statuses = [look(run, watch, L.NAP_NS // 4), look(run, watch, L.NAP_NS)]
        if statuses != [L.BUSY, L.OK]:
            raise Violation(f"wait: from a dead holder the looks gave {statuses}")
        if run.state.arena[L.LOCK] & L.MASK_16 != run.process.slot:
            raise Violation("wait: a look said OK and does not have the arena's lock")
        if run.process.local[L.LOCAL_LOCK] == 0:
            raise Violation("wait: a look said OK and does not have the local lock")


STORIES = (
    one_holder_is_blamed,
    a_stopped_waiter_blames_nobody,
    a_new_holder_is_not_blamed,
    a_late_look_has_the_lock,
)
