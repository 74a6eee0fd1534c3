"""Fork, as the core's handlers do it, while another thread of the process continues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.actors import LetGo, Next, Plain
from tests.explore.arena import Violation
from tests.explore.interpreted import Core
from tests.explore.step_scenarios import Reap, holder_words, settled
from tests.explore.steps import Actor, Interleaver, Operation, Run, State
from tests.explore.world import Member, World, new_world

CHILD_STEPS = 10_000  # more steps than a child's handler takes


@dataclass(frozen=True)
class Fork:
    """The handlers of a fork in one thread of a process, with the fork between them."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        forking = run.core.forking
        if phase == "":
            forking.prepare([0] * L.WATCH_WORDS)
            return "fork", None
        if phase == "fork":
            self.judge(run, run.process.mine[L.MINE_CHILD_SLOT])
            self.judge_child(run)
            return "parent", None
        forking.in_parent()
        return None, None

    def judge_child(self, run: Run) -> None:
        """Run only the child from here: it holds what was not left behind, and no lock."""
        state = run.state.copy()
        child = state.processes[run.actor.process]
        for actor in state.actors:  # it has one thread; other processes do not run meanwhile
            actor.done = True
        state.actors.append(Actor(run.actor.process, [Plain(child_arrives)]))
        after = Run(state, len(state.actors) - 1, run.core, frozenset())
        after.steps = CHILD_STEPS
        before = child.local[L.LOCAL_LEFT_AT : L.LOCAL_LEFT_AT + L.LOCAL_LEFT_MAX]
        left = sum(1 for entry in before if entry)
        slot = child.mine[L.MINE_CHILD_SLOT]
        held = counts_of(state.arena, child.mine, slot)
        child.slot = slot
        state.arena.actor = slot
        child_arrives(after)
        now = counts_of(state.arena, child.mine, slot)
        if held - now != left:
            raise Violation(f"fork: the child lets go of {held - now}, {left} were left behind")
        if child.local[L.LOCAL_LOCK] != 0:
            raise Violation("fork: the child begins with a lock that no thread of it has")
        run.state.arena.begin()

    def judge(self, run: Run, slot: int) -> None:
        """At the fork: the child has a record for each of its parent's, with the same counts."""
        arena, mine = run.state.arena, run.process.mine
        state = arena[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE] & L.MASK_8
        if state != L.SLOT_STATE_FORKING:
            raise Violation("fork: the child's slot was taken from it before it was there")
        for obj, at in walk.objects_in(arena, mine, (L.OBJECT_STATE_LIVE,)):
            counts = {}
            for record in walk.two_way(
                arena, mine, walk.low(arena[at + L.OBJECT_HOLDERS]), L.HOLDER_OBJECT_LINKS
            )[0]:
                place = walk.place(mine, L.TABLE_HOLDERS, record)
                owner = arena[place] >> L.HOLDER_SLOT_SHIFT & L.MASK_16
                counts[owner] = arena[place + L.HOLDER_COUNTS]
            if counts.get(run.process.slot, 0) != counts.get(slot, 0):
                raise Violation(f"fork: the child does not hold object {obj} as its parent does")


def child_arrives(run: Run) -> None:
    """Run what a child's thread does first: the handler, and one use of the local lock."""
    run.core.forking.in_child()
    run.core.local_lock.lock()
    run.core.letting_go.release()


def counts_of(arena: Any, mine: Any, slot: int) -> int:
    """Return how often a slot has objects in hand."""
    hands = 0
    for record in range(1, walk.table_end(arena, mine, L.TABLE_HOLDERS)):
        at = walk.place(mine, L.TABLE_HOLDERS, record)
        owner = arena[at + L.HOLDER_OBJECT]
        if owner >> L.HOLDER_SLOT_SHIFT & L.MASK_16 == slot and walk.low(owner):
            hands += arena[at + L.HOLDER_COUNTS] >> L.COUNT_HANDS_SHIFT & L.MASK_24
    return hands


@dataclass(frozen=True)
class MapAgain:
    """Another thread maps an object that its process holds, under the local lock."""

    obj: int

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "":
            run.lock_local()
            return "add", None
        if phase == "add":
            S.must(run.core.hold.add(run.arena, run.mine, self.obj, L.BY_MAPPING), L.OK)
            return "unlock", None
        run.unlock_local()
        return None, None


def fork(core: Core, *, thread: bool = True, reaper: bool = True) -> Interleaver:
    """One thread forks, another maps; a third process reaps dead members."""
    world = new_world(core, members=2)
    obj = S.small(world, world.members[0])
    child = S.child_slot(world)
    actors: list[tuple[int, list[Operation]]] = [(0, [Fork()])]
    if thread:
        actors.append((0, [MapAgain(obj)]))
    if reaper:
        actors.append((1, [Reap(child)]))
    racy = {L.LOCK} | holder_words(world, 1, 2)
    return Interleaver(world, actors, forked, 0, racy)


def fork_and_drop(core: Core) -> Interleaver:
    """One thread forks while another deallocates, without waiting; both processes release it."""
    world = new_world(core, members=2)
    obj = S.small(world, world.members[0])
    actors: list[tuple[int, list[Operation]]] = [(0, [Fork()]), (0, [LetGo(obj)])]
    return Interleaver(world, actors, dropped(world), 0, {L.LOCK} | holder_words(world, 1, 2))


def dropped(world: World) -> Callable[[State, Core], None]:
    """Return a judge: the process that forked has left nothing behind."""

    def judge(state: State, core: Core) -> None:
        process = state.processes[0]
        if counts_of(state.arena, process.mine, process.slot) != 0:
            raise Violation("left: a reference that was deallocated is held for ever")
        if process.local[L.LOCAL_LOCK] != 0:
            raise Violation("left: the local lock is held by nobody")

    return judge


def two_drops(core: Core) -> Interleaver:
    """Two threads deallocate: the one that unlocks finds what the other left, however late."""
    world = new_world(core, members=1)
    x, y, z = (S.small(world, world.members[0]) for _ in range(3))
    actors: list[tuple[int, list[Operation]]] = [(0, [LetGo(x)]), (0, [LetGo(y), LetGo(z)])]
    return Interleaver(world, actors, dropped(world), 0, {L.LOCK})


def forked(state: State, core: Core) -> None:
    """Do nothing: the fork itself was judged when it happened."""


def raw_child(core: Core) -> Interleaver:
    """A child made without handlers, which kept the control file, releases its parent's object."""
    world = new_world(core, members=2)
    obj = S.small(world, world.members[0])
    world.members.append(Member(world.members[0].mine[:], world.members[0].slot))
    found = Interleaver(world, [(2, [LetGo(obj)])], settled(world), 0, {L.LOCK})
    found.first.processes[2].bytes = frozenset()
    return found
