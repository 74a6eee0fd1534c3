"""Small scenarios for the interleaver: the lock, the stacks of drops, lock-free reads, fork.

Each is a function of a core that returns an `Interleaver`. Entering, waiting, reaping, letting go,
leaving and the handlers of fork are the core's own procedures. What their caller must do first (the
lock before a probe, the byte before the lock) is done here; a fault in that is a flag.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.actors import LIMIT_NS, GivesUp, LetGo, Locked, Next, Plain, enter
from tests.explore.arena import Violation
from tests.explore.interpreted import Core
from tests.explore.steps import Interleaver, Operation, Run, State, world_of
from tests.explore.world import Member, World, new_world


def holder_words(world: World, *records: int) -> set[int]:
    """Return the words of records that their members store without the arena's lock."""
    words = set()
    for record in records:
        at = walk.place(world.members[0].mine, L.TABLE_HOLDERS, record)
        words |= {at + L.HOLDER_COUNTS, at + L.HOLDER_DROPS}
    return words


def stacks(*slots: int) -> set[int]:
    return {L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_DROPS for slot in slots}


def settled(world: World) -> Callable[[State, Core], None]:
    """Return a judge: a member reaps; then all rules hold, and nothing is left over."""

    def judge(state: State, core: Core) -> None:
        after = world_of(state, world)
        at = L.SLOTS + L.SLOT_STATE
        for process in state.processes:
            if process.alive and process.slot in process.bytes and process.slot >= L.SLOT_FIRST:
                if after.arena[at + L.SLOT_WORDS * process.slot] & L.MASK_8 in (
                    L.SLOT_STATE_FREE,
                    L.SLOT_STATE_REAPING,
                ):
                    raise Violation(f"I6: slot {process.slot} is alive, and was reaped")
        after.members = [m for m in after.members if m.slot]
        living = [m for m in after.members if m.alive]
        member = living[-1] if living else after.join()
        after.enter(member)
        after.leave(member)
        dead = after.dead()
        after.reap(member)
        after.check(dead)
        after.nothing_left()

    return judge


def twice(run: Run) -> None:
    """A transaction that stores one word twice."""
    run.core.journal.put(run.arena, L.LOANS_LIMIT, run.process.slot)
    run.core.journal.put(run.arena, L.LOANS_LIMIT, L.MASK_16 + run.process.slot)
    run.core.journal.commit(run.arena)


def nothing(run: Run) -> None:
    """An empty critical section."""


def lock(core: Core, members: int = 2, deaths: int = 1) -> Interleaver:
    """All members lock, store, unlock; holders and waiters die."""
    world = new_world(core, members=members)
    actors: list[tuple[int, list[Operation]]] = [(k, [Locked(twice)]) for k in range(members)]
    return Interleaver(world, actors, settled(world), deaths, {L.LOCK, L.JOURNAL_LENGTH})


def short_naps(core: Core) -> Interleaver:
    """Two lock and store, and naps end at any moment: each look finds the holder alive."""
    found = lock(core, deaths=0)
    found.first.short = True
    return found


def crowd(core: Core, members: int = 3) -> Interleaver:
    """All lock and unlock: each waiter is woken, and nobody sleeps beside a free lock."""
    world = new_world(core, members=members)
    actors: list[tuple[int, list[Operation]]] = [(k, [Locked(nothing)]) for k in range(members)]
    return Interleaver(world, actors, settled(world), 0, {L.LOCK})


@dataclass(frozen=True)
class Reap:
    """Reap a slot if its member is dead: with both locks or (faults) without, or probed before."""

    slot: int
    probe_first: bool = False
    lock: bool = True

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "" and self.probe_first and local is None:
            return ("", "probed") if not run.probe(run.mine, self.slot) else (None, None)
        if phase == "body" or not self.lock:
            self.reap(run)
            if self.lock:
                run.core.entering.leave(run.arena, run.mine)
            return None, None
        after, known = enter(run, phase, local, "body")
        return after, ("probed" if after == "" else known)

    def reap(self, run: Run) -> None:
        reaping, reap = run.core.reaping, run.core.reap
        if self.probe_first:
            if reap.is_reapable(run.arena, run.mine, self.slot):
                reap.begin(run.arena, run.mine, self.slot)
        elif reaping.reap_dead(run.arena, run.mine, self.slot) != L.DONE:
            return
        while reaping.reap_some(run.arena, run.mine, self.slot) == L.MORE:
            pass


@dataclass(frozen=True)
class ReapAll:
    """Reap dead members, giving up both locks in between, as Member.reap does."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "body":
            watch = [0] * L.WATCH_WORDS
            run.core.waiting.begin(watch, LIMIT_NS)
            S.must(run.core.reaping.reap_all(run.arena, run.mine, watch), L.OK)
            return "leave", None
        if phase == "leave":
            run.core.entering.leave(run.arena, run.mine)
            return None, None
        return enter(run, phase, local, "body")


@dataclass(frozen=True)
class Join:
    """Join in the first free slot: lock its byte, then the arena's lock, then check again."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "":
            slot = run.core.join.find_free(run.arena, run.mine, 0)
            while slot and not run.lock_byte(slot):  # a joiner has it, or its member is leaving
                slot = run.core.join.find_free(run.arena, run.mine, slot)
            if slot == 0:
                return None, None
            run.mine[L.MINE_SLOT] = slot
            run.mine[L.MINE_STATUS] = L.MEMBER_ACTIVE
            return "enter", None
        if phase == "body":
            slot = run.process.slot
            if run.core.join.join(run.arena, run.mine, slot, slot, 0) != L.OK:
                raise Violation("join: a free slot whose byte is locked was refused")
            run.core.entering.leave(run.arena, run.mine)
            return None, None
        return enter(run, "" if phase == "enter" else phase, local, "body")


@dataclass(frozen=True)
class Leave:
    """Leave the arena, then unlock the byte; or (a fault) unlock the byte first."""

    unlock_first: bool = False

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "" and self.unlock_first:
            run.unlock_byte()
            return "close", None
        if phase == "unlock":
            run.unlock_byte()
            return None, None
        if not run.core.leaving.close(run.arena, run.mine):
            raise Violation("leave: a member that holds nothing was refused")
        return (None if self.unlock_first else "unlock"), None


def newcomer(world: World) -> None:
    """Add a process that is not a member yet."""
    mine = array("Q", bytes(8 * world.geometry.private_words))
    world.geometry.describe_to(mine)
    world.members.append(Member(mine, 0))


def handed_on(
    core: Core, *, inside: bool = True, deaths: int = 0, whole: bool = False, **fault: bool
) -> Interleaver:
    """A slot's member is dead, maybe inside; one waits or probes, one reaps, one joins instead.

    The three run in any order: the slot may become free, and another's, at any moment.
    """
    world = new_world(core, members=3)
    dead = world.members[0]
    newcomer(world)
    if inside:
        world.enter(dead)
    dead.alive = False
    states = {L.SLOTS + L.SLOT_WORDS * dead.slot + L.SLOT_STATE}
    late = Reap(dead.slot, **fault) if fault else Locked(twice)
    actors: list[tuple[int, list[Operation]]] = [
        (1, [late]),
        (2, [Reap(dead.slot)]),
        (3, [Join(), Locked(twice)] if whole else [Join()]),
    ]
    return Interleaver(world, actors, settled(world), deaths, {L.LOCK, *states})


def stolen(core: Core) -> Interleaver:
    """As `handed_on`, but the reaper waits for the new member: the lock word occurs again.

    It begins where the late one has found the holder dead and is about to take its lock over.
    """
    found = handed_on(core)
    late, reaper, joiner = found.first.actors
    late.operations = [Locked(nothing)]
    reaper.operations = [*reaper.operations, Locked(nothing)]
    joiner.operations = [Join()]
    slot = found.first.processes[late.process].slot
    after: State | None = found.first
    while after is not None and core.lock.held_by(after.arena[L.LOCK]) != slot:
        found.first = after
        after = found.step(after, 0)
    return found


def left(
    core: Core, deaths: int = 0, *, reaper: bool = False, unlock_first: bool = False
) -> Interleaver:
    """One leaves; another works, or reaps it if it looks dead; one joins, perhaps in its slot."""
    world = new_world(core, members=2)
    newcomer(world)
    slot = world.members[0].slot
    racy = {L.LOCK, L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE}
    other: Operation = Reap(slot) if reaper else Locked(nothing)
    actors = ((0, [Leave(unlock_first)]), (1, [other]), (2, [Join()]))
    return Interleaver(world, actors, settled(world), deaths, racy)


def living(core: Core, **fault: bool) -> Interleaver:
    """A member tries to reap another, which is alive."""
    world = new_world(core, members=2)
    actors: list[tuple[int, list[Operation]]] = [
        (0, [Reap(world.members[1].slot, **fault)]),
        (1, [Locked(twice)]),
    ]
    return Interleaver(world, actors, settled(world))


def drops(core: Core, deaths: int = 0, *, whole: bool = False) -> Interleaver:
    """One lets go of two objects, while another enters, leaves, and (whole) lets go of one."""
    world = new_world(core, members=2)
    a, b = world.members
    x, y, z = S.small(world, a), S.small(world, a), S.small(world, b)
    actors: list[tuple[int, list[Operation]]] = [
        (0, [LetGo(x), LetGo(y)]),
        (1, [Locked(nothing), LetGo(z)] if whole else [Locked(nothing)]),
    ]
    racy = {L.LOCK} | holder_words(world, 1, 2, 3) | stacks(a.slot, b.slot)
    return Interleaver(world, actors, settled(world), deaths, racy)


def pushed_meanwhile(core: Core) -> Interleaver:
    """A popper dies while the stack's member pushes; there are records below the popped one."""
    world = new_world(core, members=2)
    a, b = world.members
    x, y, z = (S.small(world, a) for _ in range(3))
    world.enter(b)
    S.defer(world, a, x)
    S.defer(world, a, y)
    world.core.lock.unlock(world.arena)
    actors: list[tuple[int, list[Operation]]] = [(0, [LetGo(z)]), (1, [Locked(nothing)])]
    racy = {L.LOCK, L.DRAINING} | holder_words(world, 1, 2, 3) | stacks(a.slot)
    return Interleaver(world, actors, settled(world), 1, racy)


def pages(core: Core) -> Interleaver:
    """page_to_scamem while an allocation that was never LIVE is reaped and its record reused."""
    world = new_world(core, members=3)
    a, b, _ = world.members
    obj = S.small(world, a)
    S.let_go(world, a, obj)
    S.reserve(world, b, 1)
    S.take_runs(world, b, obj)
    world.alone(b, core.alloc.describe, obj)
    b.alive = False
    never = S.generation(world, obj)

    def read(run: Run) -> None:
        value = core.memdesc.read(run.arena, run.mine, 0)
        found = core.memdesc.object_of(value)
        if found == 0:
            return
        generation = core.objects.generation(run.arena, run.mine, found)
        if generation != core.memdesc.generation_of(value):
            return
        if core.objects.is_live(run.arena, run.mine, found, generation) and generation == never:
            raise Violation("pages: frame 0 leads to an object that was never LIVE")

    place = walk.place(a.mine, L.TABLE_OBJECTS, obj)
    racy = {L.LOCK, a.mine[L.MINE_MEMDESCS_AT]}
    racy |= {place + L.OBJECT_STATE, place + L.OBJECT_GENERATION}
    again = Locked(lambda run: core.alloc.small(run.arena, run.mine, 0, 1, L.BY_HAND))
    actors: list[tuple[int, list[Operation]]] = [(2, [Plain(read)]), (0, [Reap(b.slot), again])]
    return Interleaver(world, actors, settled(world), 0, racy)


def two_threads(core: Core) -> Interleaver:
    """Two threads of a process deallocate, while another process locks the arena."""
    world = new_world(core, members=2)
    x, y = S.small(world, world.members[0]), S.small(world, world.members[0])
    actors: list[tuple[int, list[Operation]]] = [
        (0, [LetGo(x)]),
        (0, [LetGo(y)]),
        (1, [Locked(nothing)]),
    ]
    racy = {L.LOCK} | holder_words(world, 1, 2) | stacks(world.members[0].slot)
    return Interleaver(world, actors, settled(world), 0, racy)


@dataclass(frozen=True)
class CleanLeft:
    """Clean objects that need it, if both locks are free."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        run.core.cleaning.clean_left(run.arena, run.mine, [0] * L.WATCH_WORDS)
        return None, None


@dataclass(frozen=True)
class TryToClose:
    """Close the arena if nothing prevents it; its mappings go then."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        run.core.leaving.close(run.arena, run.mine)
        return None, None


def unclean(core: Core) -> World:
    """An arena with an object that a dead member held for I/O: its pages must be renewed."""
    world = new_world(core, members=1)
    (a,) = world.members
    obj = S.small(world, a)
    at = walk.place(a.mine, L.TABLE_OBJECTS, obj) + L.OBJECT_STATE
    world.arena.raw(at, world.arena[at] | L.OBJECT_TAINTED)
    record = world.alone(a, core.hold.subtract, obj, L.BY_HAND)
    S.must(world.run(a, core.hold.put_holder, record), L.OK)
    return world


def cleaned(core: Core) -> Interleaver:
    """Two threads of one process try to clean the same object."""
    actors: list[tuple[int, list[Operation]]] = [(0, [CleanLeft()]), (0, [CleanLeft()])]
    world = unclean(core)
    return Interleaver(world, actors, settled(world), 0, {L.LOCK})


def closed_while_cleaning(core: Core) -> Interleaver:
    """One thread cleans, another closes."""
    actors: list[tuple[int, list[Operation]]] = [(0, [CleanLeft()]), (0, [TryToClose()])]
    world = unclean(core)
    return Interleaver(world, actors, nobody_asks, 0, {L.LOCK})


def nobody_asks(state: State, core: Core) -> None:
    """Check nothing: a violation was reported where it occurred."""


def gives_up(core: Core) -> Interleaver:
    """One waiter gives up, whether woken or not; the others must not miss its wake."""
    world = new_world(core, members=3)
    actors: list[tuple[int, list[Operation]]] = [
        (0, [Locked(nothing)]),
        (1, [GivesUp()]),
        (2, [Locked(nothing)]),
    ]
    return Interleaver(world, actors, settled(world), 0, {L.LOCK})


def reaped(core: Core, deaths: int = 0, *, whole: bool = False) -> Interleaver:
    """One reaps a dead member, giving up the locks in between; (whole) another reaps it too."""
    world = new_world(core, members=3)
    dead = world.members[0]
    S.small(world, dead)
    dead.alive = False
    actors: list[tuple[int, list[Operation]]] = [(1, [ReapAll()])]
    if whole:
        actors.append((2, [Reap(dead.slot)]))
    return Interleaver(world, actors, settled(world), deaths, {L.LOCK})


@dataclass(frozen=True)
class Runs:
    """Member.runs: walk an object's runs without the arena's lock, between two looks under it.

    Each look is between Membership's begin and end.
    """

    obj: int
    takeovers: bool = True  # compare the count of takeovers as well
    changes: bool = True

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        stage: str
        known: Any
        word: Any
        stage, known, word = local or ("look", None, None)
        if phase == "look at it":
            seen = self.look(run)
            if stage == "look":
                known = (seen, self.walk(run.state.arena, run.process.mine))
                stage = "walk"
            elif seen == known[0]:
                self.judge(run, known[1])
                stage = "done"
            else:
                stage = "look"
            return "leave", (stage, known, None)  # separate phase: this was seen under the lock
        if phase == "leave":
            run.core.entering.leave(run.arena, run.mine)
            if stage == "done":
                return None, None
            return ("walk" if stage == "walk" else ""), (stage, known, None)
        if phase == "walk":
            found = self.walk(run.arena, run.process.mine)
            if len(found) == 1:  # no cut or exchange happens here, and more runs may follow
                if found != known[1]:
                    raise Violation(f"reader: {found}, it had {known[1]}")
                return None, None
            return "", ("compare", (known[0], found), None)
        after, word = enter(run, phase, word, "look at it")
        return after, (stage, known, word)

    def look(self, run: Run) -> tuple[int, ...]:
        """Read both counts. Needs: the lock is held."""
        changes = run.core.objects.changes(run.arena, run.mine, self.obj)
        takeovers = run.arena[L.LOCK_TAKEOVERS]
        return changes if self.changes else 0, takeovers if self.takeovers else 0

    def walk(self, arena: Any, mine: Any) -> tuple[tuple[int, int], ...]:
        """Walk as Membership.runs_of does."""
        at = walk.place(mine, L.TABLE_OBJECTS, self.obj)
        run = walk.low(arena[at + L.OBJECT_RUNS])
        left = walk.low(arena[at + L.OBJECT_NR])
        found = []
        while run != 0 and left > 0:
            place = walk.place(mine, L.TABLE_RUNS, run)
            value = arena[place + L.RUN_FRAMES]
            found.append((walk.low(value), walk.high(value)))
            run = walk.low(arena[place + L.RUN_LINK])
            left -= 1
        return tuple(found)

    def judge(self, run: Run, found: Any) -> None:
        """Check that the runs found are the current ones, under the lock and committed."""
        now = self.walk(run.state.arena, run.process.mine)
        if found != now:
            raise Violation(f"reader: {found}, there is {now}")


def runs_words(world: World, *objects: int) -> set[int]:
    """Return the words of objects and of their runs that a walk reads."""
    mine = world.members[0].mine
    words = set()
    for obj in objects:
        at = walk.place(mine, L.TABLE_OBJECTS, obj)
        words |= {at + L.OBJECT_RUNS, at + L.OBJECT_NR}
        for record in walk.runs_of(world.arena.plain(), mine, at)[1]:
            place = walk.place(mine, L.TABLE_RUNS, record)
            words |= {place + L.RUN_FRAMES, place + L.RUN_LINK}
    return words


def grafted(core: Core, runs: int = 2, **reader: bool) -> Interleaver:
    """One walks an object's runs, while another appends more, and dies."""
    world = new_world(core, members=2)
    a, b = world.members
    S.scatter(world, b, (0, 1, 3, 5, 7))
    target, source = S.large(world, a, runs + 1), S.large(world, a, 2)
    S.hold(world, b, target)
    words = runs_words(world, target, source)
    S.must(world.run(a, core.move.begin, source, S.generation(world, source)), L.OK)
    S.must(world.alone(a, core.move.describe, source, target), L.OK)
    graft = Locked(lambda run: core.move.graft(run.arena, run.mine, source, target, 0))
    actors: list[tuple[int, list[Operation]]] = [(0, [graft]), (1, [Runs(target, **reader)])]
    return Interleaver(world, actors, settled(world), 1, {L.LOCK} | words)
