"""An arena in a few lines, written from the rules of the design, not from the code.

It knows frames and which of them have memory, objects, who holds them how often, names, loans and
members; nothing of words, records or locks. Which frames an allocation gets is the allocator's
affair: the model is told, and says whether they were free. It imports nothing of the library.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

HAND = "hand"
MAPPING = "mapping"
IO = "io"
GRACE_S = 60

Name = int
Key = tuple[int, int]  # an object and its generation
Loan = int


class Disagreement(AssertionError):
    """The arena did what the rules do not allow."""


@dataclass
class Object:
    """What is allocated: its frames, and how often each member holds it, by kind."""

    frames: tuple[int, ...]  # in the object's order
    live: bool = True
    held: dict[int, dict[str, int]] = field(default_factory=dict)
    tainted: bool = False  # a dead member's I/O may still reach its frames
    promised: int = 0  # frames that it was promised beyond those it has

    def copy(self) -> Object:
        held = {member: dict(kinds) for member, kinds in self.held.items()}
        return Object(self.frames, self.live, held, self.tainted, self.promised)


@dataclass
class Reference:
    """The state of an arena, as its members may rely on it.

    `frames` can be used: they are free, or an object's. Those of an online section that cannot are
    absent. Memory is given and taken outside the lock, in one section at a time; `memory` is where
    there is some for sure, `perhaps` where there may be some, whenever its giver or taker dies.
    """

    frames: frozenset[int]
    members: frozenset[int]
    dead: frozenset[int] = frozenset()
    objects: dict[Key, Object] = field(default_factory=dict)
    names: dict[Name, Key] = field(default_factory=dict)
    weak: frozenset[Name] = frozenset()  # names that do not keep what they show
    loans: dict[Loan, tuple[Key, int | None]] = field(default_factory=dict)  # lender; None: transit
    since: dict[Loan, int] = field(default_factory=dict)  # lent then; or its lender let go
    used_loans: frozenset[Loan] = frozenset()
    online: frozenset[int] = frozenset()
    memory: frozenset[int] = frozenset()
    perhaps: frozenset[int] = frozenset()
    changing: int | None = None  # the member that changes a section

    @classmethod
    def begin(cls, frames: Iterable[int], members: Iterable[int]) -> Reference:
        """Return a new arena: its frames are online and have memory."""
        there = frozenset(frames)
        return cls(there, frozenset(members), online=there, memory=there, perhaps=there)

    def copy(self) -> Reference:
        objects = {key: obj.copy() for key, obj in self.objects.items()}
        return Reference(
            self.frames, self.members, self.dead, objects,
            dict(self.names), self.weak, dict(self.loans), dict(self.since), self.used_loans,
            self.online, self.memory, self.perhaps, self.changing,
        )  # fmt: skip

    # --- what can be asked ---------------------------------------------------------------------

    def free(self) -> frozenset[int]:
        """Frames that no object has."""
        taken = [obj.frames for obj in self.objects.values()]
        return self.frames.difference(*taken)

    def unpromised(self) -> int:
        """Frames that are free, and promised to no allocation under way."""
        return len(self.free()) - sum(obj.promised for obj in self.objects.values())

    def references(self, key: Key) -> int:
        """What keeps an object: members, names, and members whose loans outlived their holding."""
        obj = self.objects[key]
        kept = sum(name not in self.weak for name in self.named(key))
        return len(obj.held) + kept + (1 if self.in_transit(key) else 0)

    def named(self, key: Key) -> list[Name]:
        """The names of an object, weak ones too."""
        return [name for name, other in self.names.items() if other == key]

    def is_kept_by_name(self, key: Key) -> bool:
        return any(name not in self.weak for name in self.named(key))

    def in_transit(self, key: Key) -> list[Loan]:
        return [loan for loan, (other, lender) in self.loans.items()
                if other == key and lender is None]  # fmt: skip

    def in_transit_any(self) -> bool:
        return any(lender is None for _, lender in self.loans.values())

    def holds(self, member: int, key: Key) -> bool:
        return key in self.objects and member in self.objects[key].held

    # --- what members do -----------------------------------------------------------------------

    def join(self, member: int) -> None:
        if member in self.members:
            raise Disagreement(f"slot {member} was given to two members")
        self.members |= {member}

    def is_idle(self, member: int) -> bool:
        """Whether a member holds nothing: no object, no loan that hangs on it, no section."""
        held = any(member in obj.held for obj in self.objects.values())
        lent = any(lender == member for _, lender in self.loans.values())
        return not held and not lent and self.changing != member

    def leave(self, member: int) -> None:
        """A member that is idle is none any more; nobody has to reap it."""
        if not self.is_idle(member):
            raise Disagreement(f"slot {member} is free, and its member holds something")
        self.members -= {member}

    def can_allocate(self, nr: int) -> bool:
        return nr <= self.unpromised()

    def allocate(
        self, member: int, key: Key, frames: Iterable[int], *, live: bool = True, promised: int = 0
    ) -> None:
        """A new object of these frames, in the member's hand."""
        chosen = tuple(frames)
        if not self.free().issuperset(chosen):
            raise Disagreement(f"frames {sorted(set(chosen) - self.free())} were not free")
        if key in self.objects:
            raise Disagreement(f"object {key} exists")
        self.objects[key] = Object(chosen, live, {member: {HAND: 1}}, promised=promised)

    def take(self, key: Key, frames: Iterable[int]) -> None:
        """An object that is not live yet gets more frames, which were free."""
        chosen = tuple(frames)
        if self.objects[key].live or not self.free().issuperset(chosen):
            raise Disagreement(f"object {key} took {chosen}; {sorted(self.free())} were free")
        self.objects[key].frames += chosen

    def hold(self, member: int, key: Key, kind: str) -> None:
        counts = self.objects[key].held.setdefault(member, {})
        counts[kind] = counts.get(kind, 0) + 1

    def let_go(self, member: int, key: Key, kind: str, now_s: int) -> None:
        counts = self.objects[key].held[member]
        counts[kind] -= 1
        if not any(counts.values()):
            self.drop(member, key, now_s)

    def drop(self, member: int, key: Key, now_s: int) -> None:
        """A member holds an object no more; its untaken loans live on."""
        del self.objects[key].held[member]
        for loan, (other, lender) in list(self.loans.items()):
            if other == key and lender == member:
                self.loans[loan] = (key, None)
                self.since[loan] = now_s
        self.bury(key)

    def bury(self, key: Key) -> None:
        """An object that nobody holds is no more (I3), nor is a weak name of it."""
        if key in self.objects and self.references(key) == 0:
            for name in self.named(key):
                self.forget(name)
            del self.objects[key]

    def is_alone(self, member: int, key: Key) -> bool:
        """Tell whether only this member holds an object, in hand alone, and lent it to nobody."""
        obj = self.objects[key]
        if not obj.live or obj.held.keys() != {member} or self.references(key) != 1:
            return False
        if self.named(key):
            return False
        kinds = {kind for kind, count in obj.held[member].items() if count}
        return kinds == {HAND} and all(other != key for other, _ in self.loans.values())

    def may_give(self, member: int, key: Key) -> bool:
        """Tell whether a member may splice an object to another: it is alone, and holds it once."""
        return self.is_alone(member, key) and self.objects[key].held[member][HAND] == 1

    def is_watched(self, member: int, key: Key) -> bool:
        """Tell whether somebody may look at an object: another member, or this one by a view."""
        obj = self.objects[key]
        own = obj.held.get(member, {})
        return bool(obj.held.keys() - {member} or own.get(MAPPING, 0) or own.get(IO, 0))

    def begin_move(self, member: int, key: Key) -> None:
        """From here on nobody comes to hold the object; its frames are on their way."""
        if not self.may_give(member, key):
            raise Disagreement(f"object {key} is not slot {member}'s to give")
        self.objects[key].live = False

    def graft(self, source: Key, target: Key) -> None:
        """The source's frames are the target's last ones; the source is no more."""
        given, taken = self.objects.pop(source), self.objects[target]
        taken.frames += given.frames
        taken.tainted = taken.tainted or given.tainted

    def cut(self, member: int, key: Key, tail: Key, left: int) -> None:
        """The object's last frames are those of another, which is about to end."""
        if not self.is_alone(member, key):
            raise Disagreement(f"object {key} was cut, and slot {member} is not alone with it")
        obj, other = self.objects[key], self.objects[tail]
        obj.frames, other.frames = obj.frames[:left], obj.frames[left:]
        other.tainted = obj.tainted

    def exchange(self, member: int, key: Key, other: Key) -> None:
        """An object and its copy, which this member made, change frames. Nobody may look at it."""
        obj, copy = self.objects[key], self.objects[other]
        if self.is_watched(member, key) or copy.live or copy.held.keys() != {member}:
            raise Disagreement(f"object {key} was given other frames while somebody might look")
        obj.frames, copy.frames = copy.frames, obj.frames
        obj.tainted, copy.tainted = copy.tainted, obj.tainted or copy.tainted

    def publish(self, name: Name, key: Key, weak: bool = False) -> bool:
        """Show an object by a name; False: another weak name shows it."""
        if weak and any(other in self.weak and other != name for other in self.named(key)):
            return False
        old = self.names.get(name)
        self.forget(name)
        self.names[name] = key
        if weak:
            self.weak |= {name}
        if old is not None:
            self.bury(old)
        return True

    def unpublish(self, name: Name) -> None:
        key = self.names[name]
        self.forget(name)
        self.bury(key)

    def forget(self, name: Name) -> None:
        self.weak -= {name}
        self.names.pop(name, None)

    def lend(self, member: int, key: Key, loan: Loan, now_s: int) -> None:
        if loan in self.used_loans:
            raise Disagreement(f"loan {loan} is used a second time")
        self.used_loans |= {loan}
        self.loans[loan] = (key, member)
        self.since[loan] = now_s

    def load(self, member: int, key: Key, loan: Loan) -> bool:
        """Load a handle; False: stale. The first load takes the loan over."""
        if key not in self.objects or not self.objects[key].live:
            return False
        self.hold(member, key, HAND)
        self.loans.pop(loan, None)
        self.since.pop(loan, None)
        return True

    def fork(self, parent: int, child: int) -> None:
        """The child holds what its parent holds; loans and what is half allocated stay behind."""
        self.join(child)
        for obj in self.objects.values():
            if parent in obj.held and obj.live:
                obj.held[child] = dict(obj.held[parent])

    def expire(self, now_s: int, only: frozenset[Loan] | None = None) -> None:
        """Loans in transit end when their time is over and nobody else holds the object.

        `only`: those that did so far, of an arena whose member died while it went through them.
        """
        for loan, (key, lender) in list(self.loans.items()):
            if lender is not None or now_s <= self.since[loan] + GRACE_S:
                continue
            if only is not None and loan not in only:
                continue
            if not self.objects[key].held and not self.is_kept_by_name(key):
                del self.loans[loan], self.since[loan]
                self.bury(key)

    def reclaim(self, now_s: int, only: frozenset[Loan] | None = None) -> None:
        """Loans whose grace is over end where the object is held without them: no object goes.

        `only`: as of `expire`.
        """
        for loan, (key, _) in list(self.loans.items()):
            kept = self.objects[key].held or self.is_kept_by_name(key)
            if now_s <= self.since[loan] + GRACE_S or not kept:
                continue
            if only is None or loan in only:
                del self.loans[loan], self.since[loan]

    def die(self, member: int) -> None:
        self.dead |= {member}

    def drop_dead(self, member: int, key: Key, now_s: int) -> None:
        """A dead member holds an object no more; its I/O may be under way still."""
        obj = self.objects[key]
        obj.tainted = obj.tainted or obj.held[member].get(IO, 0) != 0
        self.drop(member, key, now_s)

    def reap(self, member: int, now_s: int) -> None:
        """Whatever a dead member held goes, and the section that it was changing is nobody's."""
        for key in [k for k, obj in self.objects.items() if member in obj.held]:
            self.drop_dead(member, key, now_s)
        if self.changing == member:
            self.changing = None
        self.members -= {member}
        self.dead -= {member}

    # --- memory that comes and goes ------------------------------------------------------------

    def begin_change(self, member: int) -> None:
        """From here on nobody else changes a section."""
        if self.changing is not None:
            raise Disagreement(f"slots {self.changing} and {member} both change a section")
        self.changing = member

    def end_change(self, member: int) -> None:
        if self.changing != member:
            raise Disagreement(f"slot {member} ended a change that is not its own")
        self.changing = None

    def trimmable(self, blocks: Iterable[frozenset[int]], busy: frozenset[int]) -> frozenset[int]:
        """Frames of the blocks that a trim takes: wholly free ones, lowest first, unless promised.

        `busy`: free frames that nobody can be given before a dead member is reaped.
        """
        free = self.free() - busy
        left = self.unpromised() - len(busy & self.free())
        taken: frozenset[int] = frozenset()
        for block in blocks:
            if block <= free and len(block) <= left:
                taken |= block
                left -= len(block)
        return taken

    def withdraw(self, frames: frozenset[int]) -> None:
        """Free frames cannot be used any more."""
        if not self.free() >= frames:
            raise Disagreement(f"frames {sorted(frames - self.free())} were taken, and not free")
        self.frames -= frames

    def begin_punch(self, frames: frozenset[int]) -> None:
        """From here on these frames may lose their memory any moment."""
        if frames & self.frames:
            raise Disagreement(f"frames {sorted(frames & self.frames)} lose their memory in use")
        self.memory -= frames

    def end_punch(self, frames: frozenset[int]) -> None:
        self.perhaps -= frames

    def begin_populate(self, frames: frozenset[int]) -> None:
        """From here on these frames may get memory any moment."""
        self.perhaps |= frames

    def end_populate(self, frames: frozenset[int]) -> None:
        """They have it, and can be used."""
        if frames & self.frames:
            raise Disagreement(f"frames {sorted(frames & self.frames)} become free while in use")
        self.memory |= frames
        self.frames |= frames
