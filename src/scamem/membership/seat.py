"""A seat: what this process has of one arena that it has joined.

It holds the arena's files, their mappings, and the member that runs transactions. Everything above
takes a seat; the public `scamem.Arena` is a facade over one.
"""

from __future__ import annotations

import copy
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

from scamem import log
from scamem.address_space.map import DirectMap
from scamem.backing import places, slot_locks
from scamem.backing.files import SharedFile
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.errors import ClosedError

from . import lending
from .files import Address, Files
from .member import Member

RANGES_MAX = 65_530
SLOTS_IN_USE = (L.SLOT_STATE_ACTIVE, L.SLOT_STATE_FORKING)


class Turn:
    """Which thread of this process changes a section. A forked child starts with a free one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0  # how often the thread that has the turn took it


class Seated(Protocol):
    """Has a seat: the public Arena. Functions that take a Seated are methods of it."""

    _seat: Seat


class Seat:
    """This process's place in an arena.

    Attributes
    ----------
    arena_id, id_bytes : the arena's 128-bit number, and that number as bytes in handles.
    geometry : its sizes, decided by its creator.
    path, control_path : directory and control file of a named arena, "" for an anonymous one.
    control, frames, huge : its files; `huge` is None without huge pages.
    member : runs the core's transactions, and has this process's private words.
    direct : the direct map of the frame files.
    frame_bytes, capacity : bytes in a frame, and in all frames.
    init_on_alloc : whether frames are zeroed before an object gets them.
    closed : whether this process has closed the arena.
    readonly : whether this process has all frames mapped read-only.
    by_handle : whether it was joined because something in it was sent here.

    Ownership: one for each arena that this process has joined (see `joined`).
    Threads: any. fork: the child's copy is the seat of a member of its own.
    """

    make_arena: ClassVar[Callable[[Seat], Any]]  # set by the public facade's module

    def __init__(
        self,
        arena_id: int,
        geometry: Geometry,
        files: Files,
        control_address: int,
        direct: DirectMap,
        member: Member,
        settings: int,
    ) -> None:
        self.arena_id = arena_id
        self.id_bytes = arena_id.to_bytes(16, "little")
        self.geometry = geometry
        self.control: SharedFile = files.control
        self.frames: SharedFile = files.frames
        self.huge: SharedFile | None = files.huge
        self.path = os.path.dirname(files.control.path) if files.control.path else ""
        self.control_path = os.fsencode(files.control.path or "")
        self.control_address = control_address
        self.direct = direct
        self.member = member
        self.init_on_alloc = bool(settings & L.SETTING_INIT_ON_ALLOC)
        self.frame_bytes = geometry.frame_bytes
        self.capacity = geometry.frames * geometry.frame_bytes
        self.readonly = not direct.writable
        self.closed = False
        self.by_handle = False
        self.turn = Turn()
        self.lock = threading.RLock()
        self.views: dict[tuple[int, int, int, bool], Any] = {}  # weak references (views.making)
        self.read_only_address = 0  # of the read-only direct map, once it is mapped
        self.default_node, self.default_zone = _defaults()
        self.interleaved = itertools.count()
        self.emptied = -1  # the section that this process moves objects out of, if any
        self.neighbour = 0  # slot of the other member that was found alive last
        self.section_places: Any = None  # node and kind of each section (objects.pages)
        self._arena: Callable[[], Any] | None = None  # a weak reference

    @property
    def arena(self) -> Any:
        """The public Arena over this seat; the same object as long as it is in use."""
        found = None if self._arena is None else self._arena()
        if found is None:
            found = Seat.make_arena(self)
            self._arena = weakref.ref(found)
        return found

    @property
    def slot(self) -> int:
        """This process's slot; a forked child has another."""
        return int(self.member.my_word(L.MINE_SLOT))

    @property
    def direct_address(self) -> int:
        """Address of the writable direct map."""
        return self.direct.address

    def is_usable(self) -> bool:
        """Return whether new work may begin: it is not closed, and this process is a member."""
        return not self.closed and self.member.is_active()

    def check_open(self) -> None:
        """Raise ClosedError if this process has closed the arena."""
        if self.closed:
            raise ClosedError("this arena was closed; join or create one")

    def check_writable(self) -> None:
        """Raise ReadOnlyMemberError if this process has joined with readonly=True."""
        if self.readonly:
            self.direct.writable_address  # noqa: B018 - it says why it cannot be written

    def check_still_there(self) -> None:
        """Raise ArenaRemovedError if new processes cannot find this arena by its name any more.

        Cost: one lstat.
        """
        at = self.control_path
        if at and slot_locks.leads_to(at, self.control.device, self.control.inode) != 1:
            places.check_still_there(self.control)

    def address(self) -> Address:
        """Return where this arena is, as data for handles: this process first, then others."""
        self.check_open()
        own = (os.getpid(), self.control.descriptor())
        others: list[tuple[int, int]] = []
        if not self.path:
            for _, pid, descriptors in member_pids(self.member):
                if pid not in (0, own[0]) and len(others) < 3:
                    others.append((pid, descriptors & L.MASK_32))
        return Address(
            self.arena_id, self.control.device, self.control.inode, self.path, (own, *others)
        )

    def reap(self, *, loans: bool = False) -> int:
        """Release what dead members held, and finish what they began; return how many were reaped.

        Parameters
        ----------
        loans : also drop each loan in transit, of any age, whose lender has released the object or
            died, if nothing else holds the object.
        """
        self.check_open()
        self.refresh_descriptors()
        count: int = self.member.reap()
        if count:
            log.info("reaped %d dead members of arena %s", count, self.path or self.arena_id)
        if loans:
            lending.expire(self.member, 0)
        return count

    def has_other_members(self) -> bool:
        """Return whether another living process is a member. Cost: mostly one look at one slot.

        No member is reaped. The slot that was last found alive is checked first.
        """
        own = self.slot
        last = self.neighbour
        if last not in (0, own) and self._is_alive(last):
            return True
        for slot, _, _ in member_pids(self.member):
            if slot not in (own, last) and self._is_alive(slot):
                self.neighbour = slot
                return True
        return False

    def _is_alive(self, slot: int) -> bool:
        state = self.member.read_word(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE) & L.MASK_8
        return state in SLOTS_IN_USE and not self.member.is_slot_dead(slot)

    def refresh_descriptors(self) -> None:
        """Check the kept descriptors, find lost ones again, and record where they are now.

        Raises
        ------
        BlindError : there is no way to the control file.
        """
        self.member.set_my_word(L.MINE_CONTROL_FD, self.control.descriptor())

    def close(self) -> bool:
        """Refuse new work from now on, and leave the arena now or with the last reference.

        What this process still holds stays valid and mapped, and keeps its objects. Returns whether
        the arena was left: the slot was given up, and everything unmapped and closed.
        """
        self.closed = True
        self.member.closing = True
        return self.member.leave()

    def reopen(self) -> bool:
        """Open the arena again while something in it is held here; False if it was left already.

        The Arena object that was closed stays closed; `arena` is a new one from now on.
        """
        if not self.member.reopen():
            return False
        old = None if self._arena is None else self._arena()
        if old is not None:
            old._seat = copy.copy(self)  # a copy that stays closed
        self._arena = None
        self.closed = False
        return True

    def is_abandoned(self) -> bool:
        """Return whether it was joined for a handle, nothing is held, and no other member lives."""
        if not self.by_handle or not self.is_usable() or self.member.holds_anything():
            return False
        in_use = self._arena is not None and self._arena() is not None
        return not in_use and not self.has_other_members()

    def after_fork_in_child(self) -> None:
        """Renew the child's locks: another thread of the parent may have held them."""
        self.turn = Turn()
        self.lock = threading.RLock()

    def __repr__(self) -> str:
        where = self.path or f"anonymous {self.arena_id:032x}"
        return f"<Arena {where}{', closed' if self.closed else ''}>"


def _defaults() -> tuple[int | str | None, str | None]:
    """Return the node and the zone that this process's environment names."""
    node = os.environ.get("SCAMEM_NODE") or None
    zone = os.environ.get("SCAMEM_ZONE") or None
    return (int(node) if node and node.isdecimal() else node), zone


def member_pids(member: Member) -> Iterator[tuple[int, int, int]]:
    """Yield (slot, pid, descriptors) of every slot in use, including this process's."""
    end = min(member.read_word(L.SLOTS_NEXT), member.my_word(L.MINE_SLOTS_MAX))
    for slot in range(L.SLOT_FIRST, end):
        about = L.SLOTS + L.SLOT_WORDS * slot
        if member.read_word(about + L.SLOT_STATE) & L.MASK_8 in SLOTS_IN_USE:
            yield (
                slot,
                member.read_word(about + L.SLOT_PID),
                member.read_word(about + L.SLOT_DESCRIPTORS),
            )


def other_pids(member: Member) -> Sequence[int]:
    """Return the pids of the other members."""
    own = os.getpid()
    return [pid for _, pid, _ in member_pids(member) if pid not in (0, own)]
