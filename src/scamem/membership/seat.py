"""A seat: what this process has of one arena that it has joined.

It holds the arena's files, their mappings and the member that runs transactions. Everything above
takes a seat; the public `scamem.Arena` is a facade over one.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

from scamem.address_space.map import DirectMap
from scamem.backing import slot_locks, system
from scamem.backing.files import SharedFile
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.errors import ClosedError

from .files import Address, Files
from .member import Member

RANGES_MAX = 65_530
SLOTS_IN_USE = (L.SLOT_STATE_ACTIVE, L.SLOT_STATE_FORKING)


class Turn:
    """Which thread of this process changes a section; a forked child begins with a free one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0  # how often the thread that has the turn took it


class Seated(Protocol):
    """What has a seat: the public Arena. Functions that take one are methods of it."""

    _seat: Seat


class Seat:
    """This process's place in an arena.

    Attributes
    ----------
    arena_id : the arena's 128-bit number.
    geometry : its sizes, decided by its creator.
    path : directory of a named arena, "" of an anonymous one.
    control, frames, huge : its files; `huge` is None without huge pages.
    member : runs the core's transactions, and has this process's private words.
    direct : the direct map of the frame files.
    frame_bytes, capacity : bytes of a frame, and of all frames.
    init_on_alloc : whether frames are zeroed before an object has them.
    closed : whether this process has closed the arena.
    by_handle : whether it was joined because something of it was sent here.

    Ownership: there is one for each arena that this process has joined (see `joined`).
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
        mine: int,
        ranges: int,
        settings: int,
    ) -> None:
        self.arena_id = arena_id
        self.geometry = geometry
        self.control: SharedFile = files.control
        self.frames: SharedFile = files.frames
        self.huge: SharedFile | None = files.huge
        self.path = os.path.dirname(files.control.path) if files.control.path else ""
        self.control_address = control_address
        self.direct = direct
        self.member = member
        self.mine = mine
        self.ranges = ranges
        self.init_on_alloc = bool(settings & L.SETTING_INIT_ON_ALLOC)
        self.frame_bytes = geometry.frame_bytes
        self.capacity = geometry.frames * geometry.frame_bytes
        self.closed = False
        self.by_handle = False
        self.turn = Turn()
        self.lock = threading.RLock()
        self.views: dict[tuple[int, int, int, bool], Any] = {}  # weak references (views.making)
        self.read_only_address = 0  # of the read-only direct map, once it was asked for
        self.default_node, self.default_zone = _defaults()
        self.interleaved = itertools.count()
        self.neighbour = 0  # slot of the other member that was found alive last
        self._arena: Any = None

    @property
    def arena(self) -> Any:
        """The public Arena over this seat, the same one each time."""
        if self._arena is None:
            self._arena = Seat.make_arena(self)
        return self._arena

    @property
    def slot(self) -> int:
        """This process's slot; a forked child has another."""
        return int(self.member.my_word(L.MINE_SLOT))

    @property
    def direct_address(self) -> int:
        """Address of the writable direct map."""
        return self.direct.address

    def is_usable(self) -> bool:
        """Tell whether new work may begin here: not closed, and this process is a member."""
        return not self.closed and self.member.is_active()

    def check_open(self) -> None:
        """Raise ClosedError if this process has closed the arena."""
        if self.closed:
            raise ClosedError("this arena was closed; join or create one")

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
        """Reap dead members and finish what they left; return how many were reaped.

        Parameters
        ----------
        loans : also give up loans in transit whose lender let go or died, whatever their age,
            where nothing else holds the object.
        """
        self.check_open()
        self.refresh_descriptors()
        count = self.member.reap()
        if loans:
            self.member.expire(0)
        return count

    def has_other_members(self) -> bool:
        """Tell whether another living process is a member. Cost: one look at one slot, mostly.

        Nobody is reaped. The slot that was found alive last is asked first.
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
        """Look at the kept descriptors; find lost ones again, and say where they are now.

        Raises
        ------
        BlindError : no way leads to the control file.
        """
        self.member.set_my_word(L.MINE_CONTROL_FD, self.control.descriptor())

    def close(self) -> bool:
        """Refuse new work from now on, and leave if nothing is held; False if it is left already.

        What this process still holds stays valid and mapped, and keeps its objects.
        """
        if self.closed:
            return False
        self.closed = True
        if self.member.close():
            self._leave()
        return True

    def _leave(self) -> None:
        """Give the slot lock up, and then the mappings. Needs: the member is closed."""
        slot_locks.let_go(self.member.my_word(L.MINE_SLOT_PAGE))
        self.direct.close()
        control_bytes = self.geometry.control_words * L.WORD_BYTES
        self.control.unmap(self.control_address, control_bytes)
        self.control.close()
        for file in self.direct.files:
            file.close()
        self._drop_private_memory()

    def _drop_private_memory(self) -> None:
        """Give the private memory back but for its first page, which says that the arena is closed.

        References that are deallocated later look there.
        """
        kept = system.PAGE_BYTES
        length = -(-self.geometry.private_words * L.WORD_BYTES // kept) * kept
        if length > kept:
            system.munmap(self.mine + kept, length - kept)
        system.munmap(self.ranges, RANGES_MAX * 2 * L.WORD_BYTES)

    def after_fork_in_child(self) -> None:
        """Make the child's locks its own: another thread of the parent may have held them."""
        self.turn = Turn()
        self.lock = threading.RLock()

    def __repr__(self) -> str:
        where = self.path or f"anonymous {self.arena_id:032x}"
        return f"<Arena {where}{', closed' if self.closed else ''}>"


def _defaults() -> tuple[int | str | None, str | None]:
    """Return the node and the zone that this process's environment asks for."""
    node = os.environ.get("SCAMEM_NODE") or None
    zone = os.environ.get("SCAMEM_ZONE") or None
    return (int(node) if node and node.isdecimal() else node), zone


def member_pids(member: Member) -> Iterator[tuple[int, int, int]]:
    """Yield (slot, pid, descriptors) of every slot in use, this process's too."""
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
