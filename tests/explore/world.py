"""An arena, its members, and their lives: joining, dying, reaping; all in one process."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from scamem.core import walk
from scamem.core.check import check
from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS, Geometry
from scamem.core.store.header import write_header
from scamem.core.store.words import Words
from tests.explore.arena import ArenaWords, Violation
from tests.explore.interpreted import Core

ARENA_ID = 0x5CA3E3
CREATED_NS = 1_000_000_000_000
TINY = Geometry(
    frames=8,
    section_shift=2,
    leaf_shift=1,
    slots_max=10,
    objects_max=12,
    holders_max=32,
    runs_max=16,
    loans_max=12,
    areas_max=6,
    hash_buckets=2,
)


@dataclass
class Member:
    """A process: its private words, the slot whose byte it has locked, and whether it is alive."""

    mine: array[int]
    slot: int
    alive: bool = True


@dataclass
class World:
    """An arena, its members, and the core that they all run."""

    core: Core
    geometry: Geometry
    arena: ArenaWords
    members: list[Member] = field(default_factory=list)
    allowed: set[int] | None = None  # logged words that a roll-back may restore
    strict: bool = False  # check the rules after each transaction, before the lock is given up
    measured: dict[str, int] = field(default_factory=dict)  # most stores of each transaction

    def copy(self) -> World:
        """Return a copy of the world, to continue differently from here."""
        members = [Member(m.mine[:], m.slot, m.alive) for m in self.members]
        return World(self.core, self.geometry, self.arena.copy(), members, self.allowed)

    def enter(self, member: Member) -> None:
        """Take the arena's lock as a member does, from a dead holder too."""
        lock, arena = self.core.lock, self.arena
        arena.actor = member.slot
        status = lock.try_lock(arena, member.slot)
        if status == L.BUSY:
            seen = arena[L.LOCK]
            slot = lock.held_by(seen)
            if any(m.alive and m.slot == slot and m is not member for m in self.members):
                raise Violation(f"lock: slot {slot} is alive and still holds it")
            status = lock.take_over(arena, member.slot, seen)
            if self.allowed is not None and arena.logged_digest not in self.allowed:
                raise Violation("atomicity: rolled back to words that no commit left behind")
            if status == L.OK:
                self.core.hold.recover_drain(arena, member.mine)
                self.core.queues.recover(arena, member.mine)
        if status != L.OK:
            raise Violation(f"damage: the lock was refused with {status:#x}")

    def leave(self, member: Member) -> None:
        """Unlock; come back as long as there is more to drop."""
        self.arena.actor = member.slot
        while self.core.hold.leave(self.arena, member.mine) == L.MORE:
            self.enter(member)

    def inside(self, member: Member, transaction: Callable[..., Any], *args: Any) -> Any:
        """Run one transaction of a member that holds the lock."""
        before = self.arena.stores
        result = transaction(self.arena, member.mine, *args)
        name = f"{transaction.__module__.rsplit('.', 1)[-1]}.{transaction.__name__}"
        stores = self.arena.stores - before
        self.measured[name] = max(stores, self.measured.get(name, 0))
        if self.arena[L.JOURNAL_LENGTH] != 0:
            raise Violation(f"I7: {name} left the journal with entries")
        if self.arena[L.JOURNAL_FAILED] != 0 or self.arena[L.JOURNAL_DAMAGED] != 0:
            raise Violation(f"damage: {name} says that the arena is damaged")
        if self.strict:
            self.check()
        return result

    def run(self, member: Member, transaction: Callable[..., Any], *args: Any) -> Any:
        """Take the lock, run one transaction, unlock."""
        self.enter(member)
        result = self.inside(member, transaction, *args)
        self.leave(member)
        return result

    def alone(self, member: Member, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function that does not need the arena's lock, and count its stores."""
        self.arena.actor = member.slot
        before = self.arena.stores
        result = function(self.arena, member.mine, *args)
        name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        stores = self.arena.stores - before
        self.measured[name] = max(stores, self.measured.get(name, 0))
        return result

    def join(self) -> Member:
        """Let a process join, in the first free slot."""
        mine = array("Q", bytes(8 * self.geometry.private_words))
        self.geometry.describe_to(cast("Words", mine))
        slot = self.core.join.find_free(self.arena, mine, 0)
        if slot == 0:
            raise Violation("join: no slot is free")
        mine[L.MINE_STATUS] = L.MEMBER_ACTIVE
        mine[L.MINE_SLOT] = slot
        member = Member(mine, slot)
        self.members.append(member)
        self.enter(member)
        if self.inside(member, self.core.join.join, slot, 1000 + slot, 0) != L.OK:
            raise Violation("join: a free slot was refused")
        self.leave(member)
        return member

    def dead(self) -> tuple[int, ...]:
        """Return the slots of dead members that no living one has taken since."""
        living = {m.slot for m in self.members if m.alive}
        return tuple(sorted({m.slot for m in self.members if not m.alive} - living))

    def reap(self, member: Member, only: int | None = None) -> None:
        """Reap the dead, or one slot, and free DYING objects, as members do first."""
        for slot in self.dead() if only is None else (only,):
            if self.core.reap.is_reapable(self.arena, member.mine, slot):
                self.run(member, self.core.reap.begin, slot)
                while self.run(member, self.core.reap.step, slot) == L.MORE:
                    pass
        self.clean(member)
        while self.run(member, self.core.end.end_some) == L.MORE:
            pass

    def clean(self, member: Member) -> None:
        """Clean objects that need it, as core/procedures does, one transaction at a time."""
        clean = self.core.clean
        obj = self.run(member, clean.begin)
        while obj < L.STATUS:
            if self.alone(member, clean.undescribe, obj) != L.OK:
                raise Violation("clean: the owner was refused")
            self.run(member, clean.finish)
            obj = self.run(member, clean.begin)
        owner = int(self.arena[L.CLEANING] >> L.SHIFT_32)
        if obj != L.DONE and not (obj == L.BUSY and owner in self.dead()):
            raise Violation(f"clean: nobody else is there, and it says {obj:#x}")

    def online(self, member: Member) -> None:
        """Bring the next section online."""
        at = member.mine[L.MINE_SECTIONS_AT]
        section = next(k for k in range(self.geometry.sections) if not self.arena[at + k])
        begun = self.run(member, self.core.online.begin, section, L.MASK_16)
        if begun != section or self.run(member, self.core.online.finish, L.MASK_16) != L.OK:
            raise Violation("online: a section was refused")

    def check(self, dead: tuple[int, ...] = ()) -> None:
        """Check I1 to I8."""
        check_words(self.arena.plain(), self.members[0].mine, dead)

    def nothing_left(self) -> None:
        """Check that every member's record has counts. Needs: the stacks are empty."""
        mine = self.members[0].mine
        for record in range(1, walk.table_end(self.arena, mine, L.TABLE_HOLDERS)):
            at = walk.place(mine, L.TABLE_HOLDERS, record)
            kind = self.arena[at + L.HOLDER_OBJECT] >> L.HOLDER_KIND_SHIFT
            counts = self.arena[at + L.HOLDER_COUNTS] | self.arena[at + L.HOLDER_PINS]
            if kind == L.HOLDER_MEMBER and counts == 0:
                raise Violation(f"drops: record {record} stands for nothing, and nobody drops it")


def check_words(arena: Any, mine: Any, dead: tuple[int, ...] = ()) -> None:
    """Check I1 to I8 of a copy of an arena's words."""
    found = check(arena, mine, dead)
    if found:
        raise Violation("; ".join(f"{f.rule} {f.place}: {f.message}" for f in found[:6]))


def new_world(core: Core, geometry: Geometry = TINY, members: int = 2, sections: int = 2) -> World:
    """Return an arena with some sections online and some members."""
    core.words.clock[0] = CREATED_NS
    plain = array("Q", bytes(8 * geometry.control_words))
    write_header(cast("Words", plain), geometry, ARENA_ID, CREATED_NS)
    for table, (name, _, _) in enumerate(TABLE_RECORDS):
        plain[L.TABLES + L.TABLE_WORDS * table + L.TABLE_BACKED] = getattr(geometry, name)
    world = World(core, geometry, ArenaWords.new(geometry))
    for at, value in enumerate(plain):
        world.arena.raw(at, value)
    for _ in range(members):
        world.join()
    for _ in range(sections):
        world.online(world.members[0])
    world.arena.begin()
    return world
