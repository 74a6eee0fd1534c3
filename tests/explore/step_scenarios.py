"""Small scenarios for the interleaver: the lock, the stacks of drops, lock-free reads, fork.

Each is a function of a core that returns an `Interleaver`. What arena/process.py does around the
core (local lock, probing under the lock, byte before record) is done here in the same order; a
seeded fault of that order is a flag.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.actors import LetGo, Locked, Next, Plain, enter, leave
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
    """Return a judge: somebody comes by and reaps; all rules hold then, nothing is left over."""

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
    """A critical section in which nothing is done."""


def lock(core: Core, members: int = 2, deaths: int = 1) -> Interleaver:
    """Everybody locks, stores, unlocks; holders and waiters die."""
    world = new_world(core, members=members)
    actors: list[tuple[int, list[Operation]]] = [(k, [Locked(twice)]) for k in range(members)]
    return Interleaver(world, actors, settled(world), deaths, {L.LOCK, L.JOURNAL_LENGTH})


@dataclass(frozen=True)
class Reap:
    """Reap a slot if its member is dead; probing under the lock, or (a fault) before it."""

    slot: int
    probe_first: bool = False
    probe_lies: bool = False
    lock: bool = True

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "" and self.probe_first and local is None:
            return ("", "probed") if not run.probe(self.slot) else (None, None)
        if phase == "body" or not self.lock:
            dead = self.probe_first or self.probe_lies or not run.probe(self.slot)
            if dead and run.core.reap.is_reapable(run.arena, run.mine, self.slot):
                run.core.reap.begin(run.arena, run.mine, self.slot)
                while run.core.reap.step(run.arena, run.mine, self.slot) == L.MORE:
                    pass
            return ("leave" if self.lock else None), None
        if phase in ("leave", "again"):
            return leave(run, phase)
        if phase == "recover":
            run.core.hold.recover_drain(run.arena, run.mine)
            return local, None
        after, known = enter(run, phase, local, "body")
        return after, ("probed" if after == "" else known)


@dataclass(frozen=True)
class Join:
    """Join in the first free slot: lock its byte, then the arena's lock, then look again."""

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "":
            slot = run.core.join.find_free(run.arena, run.mine, 0)
            while slot and not run.lock_byte(slot):  # another's, or its member is just leaving
                slot = run.core.join.find_free(run.arena, run.mine, slot)
            if slot == 0:
                return None, None
            seen = run.arena[L.LOCK]
            if run.core.lock.held_by(seen) == slot:  # its predecessor died inside
                run.core.lock.take_over(run.arena, slot, seen)
                return "recover", "body"
            return "enter", None
        if phase == "body":
            slot = run.process.slot
            if run.core.join.join(run.arena, run.mine, slot, slot, 0) != L.OK:
                raise Violation("join: a free slot whose byte is locked was refused")
            return "leave", None
        if phase == "recover":
            run.core.hold.recover_drain(run.arena, run.mine)
            return local, None
        if phase in ("leave", "again"):
            return leave(run, phase)
        after, known = enter(run, "" if phase == "enter" else phase, local, "body")
        return ("enter" if after == "" else after), known


@dataclass(frozen=True)
class Leave:
    """Leave the arena: free the slot, give the lock up, unlock the byte, in this order or (a fault)
    not. Where the lock is not to be had at once the slot is left to be reaped."""

    unlock_first: bool = False

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        if phase == "":
            got = run.core.lock.try_lock(run.arena, run.process.slot) == L.OK
            if self.unlock_first:
                run.unlock_byte()
            return ("body" if got else "unlock"), None
        if phase == "body":
            if run.core.leave.leave(run.arena, run.mine) != L.OK:
                raise Violation("leave: a member that holds nothing was refused")
            return "leave", None
        if phase == "unlock":
            run.unlock_byte()
            return None, None
        after, known = leave(run, phase)
        return after or "unlock", known


def newcomer(world: World) -> None:
    """Add a process that is no member yet."""
    mine = array("Q", bytes(8 * world.geometry.private_words))
    world.geometry.describe_to(mine)
    world.members.append(Member(mine, 0))


def handed_on(core: Core, *, inside: bool = True, deaths: int = 0, **fault: bool) -> Interleaver:
    """A slot's member is dead, maybe inside; one waits or probes, one reaps, one joins instead.

    The three go in any order: the slot may be free, and somebody else's, at any moment.
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
        (3, [Join(), Locked(twice)]),
    ]
    return Interleaver(world, actors, settled(world), deaths, {L.LOCK, *states})


def stolen(core: Core) -> Interleaver:
    """As `handed_on`, and the one who reaps waits for the new member: the lock word comes again."""
    found = handed_on(core)
    late, reaper, joiner = found.first.actors
    late.operations = [Locked(nothing)]
    reaper.operations = [*reaper.operations, Locked(nothing)]
    joiner.operations = [Join()]
    return found


def left(
    core: Core, deaths: int = 0, *, reaper: bool = False, unlock_first: bool = False
) -> Interleaver:
    """One leaves; another works, or reaps it if it seems dead; one joins, perhaps in its slot."""
    world = new_world(core, members=2)
    newcomer(world)
    slot = world.members[0].slot
    racy = {L.LOCK, L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE}
    other: Operation = Reap(slot) if reaper else Locked(nothing)
    actors = ((0, [Leave(unlock_first)]), (1, [other]), (2, [Join()]))
    return Interleaver(world, actors, settled(world), deaths, racy)


def living(core: Core, **fault: bool) -> Interleaver:
    """A member reaps another, which is alive."""
    world = new_world(core, members=2)
    actors: list[tuple[int, list[Operation]]] = [
        (0, [Reap(world.members[1].slot, **fault)]),
        (1, [Locked(twice)]),
    ]
    return Interleaver(world, actors, settled(world))


def drops(core: Core, deaths: int = 0) -> Interleaver:
    """One lets two objects go, while another enters, leaves, and lets one go."""
    world = new_world(core, members=2)
    a, b = world.members
    x, y, z = S.small(world, a), S.small(world, a), S.small(world, b)
    actors: list[tuple[int, list[Operation]]] = [
        (0, [LetGo(x), LetGo(y)]),
        (1, [Locked(nothing), LetGo(z)]),
    ]
    racy = {L.LOCK} | holder_words(world, 1, 2, 3) | stacks(a.slot, b.slot)
    return Interleaver(world, actors, settled(world), deaths, racy)


def pushed_meanwhile(core: Core) -> Interleaver:
    """A popper dies while the stack's member pushes; below the record that it popped are others."""
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


@dataclass(frozen=True)
class Fork:
    """prepare, and the fork itself, in one process that has other threads."""

    local_lock: bool = True
    byte_first: bool = True

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        core = run.core
        if phase == "" and local is None:
            if self.local_lock:
                run.lock_local()
            return "", "mine"
        if phase == "byte":
            # The child's page is mapped and inherited: the byte stays locked with the parent.
            run.process.bytes |= {local}
            return ("begin" if self.byte_first else "copy"), local
        if phase == "find":
            slot = core.join.find_free(run.arena, run.mine, 0)
            return ("byte" if self.byte_first else "begin"), slot
        if phase == "begin":
            S.must(core.fork.begin(run.arena, run.mine, local), L.OK)
            return ("copy" if self.byte_first else "between"), local
        if phase == "between":  # the fault: others may look before the byte is locked
            core.hold.leave(run.arena, run.mine)
            return "late", local
        if phase == "late":
            return ("byte" if core.lock.try_lock(run.arena, run.process.slot) == L.OK else "late",
                    local)  # fmt: skip
        if phase == "copy":
            record = core.fork.oldest(run.arena, run.mine)
            while record:
                record = core.fork.copy(run.arena, run.mine, local, record)
            return "leave", local
        if phase == "leave":
            core.hold.leave(run.arena, run.mine)
            return "fork", local
        if phase == "fork":
            self.judge(run, local)
            if self.local_lock:
                run.unlock_local()
            return None, None
        after, known = enter(run, phase, None if local == "mine" else local, "find")
        return after, ("mine" if after == "" else known)

    def judge(self, run: Run, slot: int) -> None:
        """At the fork: each of the parent's holds has a record of the child's with its counts."""
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


@dataclass(frozen=True)
class MapAgain:
    """Another thread maps what its process holds, under the local lock."""

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


def fork(core: Core, **fault: bool) -> Interleaver:
    """One thread forks, another maps; a third process reaps whoever is dead."""
    world = new_world(core, members=2)
    obj = S.small(world, world.members[0])
    child = S.child_slot(world)
    actors: list[tuple[int, list[Operation]]] = [
        (0, [Fork(**fault)]),
        (0, [MapAgain(obj)]),
        (1, [Reap(child)]),
    ]
    racy = {L.LOCK} | holder_words(world, 1, 2)
    return Interleaver(world, actors, forked, 0, racy)


def forked(state: State, core: Core) -> None:
    """The fork itself was judged when it happened."""


def raw_child(core: Core) -> Interleaver:
    """A child made without handlers that kept the control file lets its parent's object go."""
    world = new_world(core, members=2)
    obj = S.small(world, world.members[0])
    world.members.append(Member(world.members[0].mine[:], world.members[0].slot))
    found = Interleaver(world, [(2, [LetGo(obj)])], settled(world), 0, {L.LOCK})
    found.first.processes[2].bytes = frozenset()
    return found


@dataclass(frozen=True)
class Runs:
    """Member.runs: walk an object's runs without the arena's lock, between two looks under it.

    The process-local lock is taken around each look too, as Member.begin does.
    """

    obj: int
    takeovers: bool = True  # compare the count of takeovers as well
    changes: bool = True

    def phase(self, run: Run, phase: str, local: Any) -> Next:
        stage: str
        known: Any
        stage, known = local or ("look", None)
        if phase == "":
            run.lock_local()
            return "enter", (stage, known)
        if phase == "look":
            seen = self.look(run)
            if stage == "look":
                return "leave", ("walk", (seen, self.walk(run.state.arena, run.process.mine)))
            if seen == known[0]:
                self.judge(run, known[1])
                return "leave", ("done", None)
            return "leave", ("look", None)
        if phase == "leave":
            after, _ = leave(run, "leave")
            return ("unlock" if after is None else "again"), (stage, known)
        if phase == "again":
            after, _ = leave(run, "again")
            return ("unlock" if after is None else "leave"), (stage, known)
        if phase == "unlock":
            run.unlock_local()
            return {"walk": "walk", "done": None}.get(stage, ""), (stage, known)
        if phase == "walk":
            found = self.walk(run.arena, run.process.mine)
            if len(found) == 1:  # nobody cuts or exchanges it meanwhile, and more may follow
                if found != known[1]:
                    raise Violation(f"reader: {found}, it had {known[1]}")
                return None, None
            return "", ("compare", (known[0], found))
        return self.enter(run, phase, stage, known)

    def enter(self, run: Run, phase: str, stage: str, known: Any) -> Next:
        """Take the arena's lock, from a dead holder too."""
        if phase == "recover":
            run.core.hold.recover_drain(run.arena, run.mine)
            return "look", (stage, known)
        word = known[-1] if phase == "nap" else None
        after, seen = enter(run, "nap" if phase == "nap" else "", word, "look")
        kept = known[:-1] or None if phase == "nap" else known
        if after == "nap":
            return "nap", (stage, (*(kept or ()), seen))
        return after or "enter", (stage, kept)

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
        """What was found is what there is now, under the lock and committed."""
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
    """One walks an object's runs, while another hangs more on its end, and dies."""
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
