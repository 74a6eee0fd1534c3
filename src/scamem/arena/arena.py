"""An arena as a process has it: life cycle, allocation, frames, and looks at it.

`ArenaBase` knows objects, frames and members. The public `scamem.Arena` (handles/) adds arrays,
names and handles to it.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from scamem.address_space import map as mapping
from scamem.backing import head_room, places, slot_locks
from scamem.backing.nodes import Machine
from scamem.core.store import header
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.core.walk import USABLE, Finding
from scamem.errors import (
    ArenaExistsError,
    ArenaNotFoundError,
    StaleHandleError,
)

from . import attach, changes, lending, look, room, snapshot, views
from .attach import Address, Attachment
from .member import Hold, surplus_handlers
from .objects import Scamem
from .sections import Sections
from .view import View, make_view, runs_unmapped

mapping.budget.given_back = runs_unmapped


class ArenaBase(Sections):
    """Shared memory of page frames, as this process has joined it.

    Ownership: one per process and arena; joining again returns the same one. It is left when it is
    closed and nothing of it is held any more, else when the process ends.
    Threads: any. fork: the child is a member of its own, with a reference for each of its parent's.
    """

    _joined: ClassVar[dict[int, ArenaBase]] = {}  # by arena id, open ones only
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, made: Attachment) -> None:
        self._made = made
        self._closed = False
        self.geometry = made.geometry
        self.member = made.member
        self.member.owner = self
        self.frame_bytes = made.geometry.frame_bytes
        self.capacity = made.geometry.frames * self.frame_bytes
        self.direct_address = made.direct.address
        self._read_only = 0  # address of the read-only direct map, once it was asked for
        self.member.direct_address = made.direct.address
        self.member.set_my_word(L.MINE_DIRECT, made.direct.address)
        self._make_tables()
        self._set_policies()
        self._views: weakref.WeakValueDictionary[tuple[int, int, int, bool], View] = (
            weakref.WeakValueDictionary()
        )
        self._joined[made.arena_id] = self

    # --- life cycle ----------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        name: str | None = None,
        *,
        capacity: int | None = None,
        huge: int | None = None,
        machine: Machine | None = None,
        slots: int = 4096,
        init_on_alloc: bool = False,
    ) -> Self:
        """Make a new arena and join it.

        Parameters
        ----------
        name : of a named arena, for unrelated processes and the command line: a word (below a
            directory of this user's on tmpfs) or a path with a slash. None: anonymous, gone with
            its last member.
        capacity : bytes that it may grow to, rounded up to 8 MiB; address space, not memory. None:
            as much as this machine or cgroup could ever give.
        huge : bytes of zone "HUGE", in pages of 2 MiB that the system's pool has set aside; 0:
            none. None: in an anonymous arena what the pool has or may have now.
        machine : nodes to lay the arena out for, instead of this machine's; then neither capacity
            nor huge can be given.
        slots : how many processes can be members at once.
        init_on_alloc : for good: frames are zeroed before an object has them, so that nobody sees
            what their last owner left there, whoever died in between.

        Raises
        ------
        ArenaExistsError : there is an arena of this name.
        OutOfMemoryError : address space or file size is limited; `limit` names by what.
        """
        wanted = head_room.default_capacity_bytes() if capacity is None else capacity
        if not 0 < wanted <= 1 << 40:
            raise ValueError(f"asked for a capacity of {wanted:,} bytes; 1 byte to 1 TiB can be")
        if machine is None:
            machine = Machine.real(wanted, 0 if name and huge is None else huge)
        elif capacity is not None or huge is not None:
            raise ValueError("asked for a described machine and a capacity; its nodes say both")
        zones = [
            (number, kind, nbytes)
            for number, node in enumerate(machine.nodes)
            for kind, nbytes in enumerate((node.normal_bytes, node.huge_bytes))
            if nbytes
        ]
        if len(zones) > L.ZONES_MAX:
            raise ValueError(f"asked for {len(zones)} zones; {L.ZONES_MAX} can be")
        size = Geometry.for_zones(zones, slots_max=slots)
        settings = L.SETTING_INIT_ON_ALLOC if init_on_alloc else 0
        return cls._new(size, name or "", attach.CONTROL_LABEL, settings)

    @classmethod
    def _new(cls, size: Geometry, name: str, label: str, settings: int = 0) -> Self:
        with cls._lock:
            files = attach.new_files(size, name, label, settings)
            try:
                return cls(attach.attach(files))
            except BaseException:
                if name:
                    places.remove(name)  # nothing half done: its creator could not map it
                raise

    @classmethod
    def join(cls, name: str) -> Self:
        """Join the named arena `name`.

        Raises
        ------
        ArenaNotFoundError : there is none.
        ArenaRefusedError : it is another user's, or no arena that this version can use.
        """
        with cls._lock:
            files = attach.open_named(name)
            arena_id = header.arena_id(attach.read_header(files.control))
            return cls._known(arena_id) or cls(attach.attach(files))

    @classmethod
    def open(cls, name: str, *, capacity: int | None = None) -> Self:
        """Join the named arena `name`, or create it with `capacity` if there is none."""
        while True:
            try:
                return cls.join(name)
            except ArenaNotFoundError:
                try:
                    return cls.create(name, capacity=capacity)
                except ArenaExistsError:
                    continue  # another process was faster: join its arena

    @classmethod
    def reach(cls, address: Address) -> Self:
        """Join the arena that a handle comes from; the ways are tried in DESIGN's order.

        Raises
        ------
        ArenaUnreachableError : none of them led there; says what was tried, and the ways out.
        """
        with cls._lock:
            return cls._known(address.arena_id) or cls(attach.attach(attach.reach(address)))

    @classmethod
    def _known(cls, arena_id: int) -> Self | None:
        found = cls._joined.get(arena_id)
        if found is None or found._closed or not found.member.is_active():
            return None
        return found if isinstance(found, cls) else None

    def close(self) -> None:
        """Leave the arena as far as can be: no new work. Again: nothing.

        What this process still holds (arrays, views, pins) stays valid and mapped, and keeps its
        objects; the slot is given up when nothing is held, or when the process ends.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._joined.pop(self._made.arena_id, None)
            if self.member.close():
                self._leave()

    def _leave(self) -> None:
        """Give the slot lock up, and then the mappings. Needs: the member is closed."""
        made = self._made
        slot_locks.let_go(self.member.my_word(L.MINE_SLOT_PAGE))
        made.direct.close()
        made.control.unmap(made.control_address, made.geometry.control_words * L.WORD_BYTES)
        made.control.close()
        for file in made.direct.files:
            file.close()
        made.drop_private_memory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether this process has closed the arena."""
        return self._closed

    @property
    def slot(self) -> int:
        """This process's slot; a forked child has another."""
        return int(self.member.my_word(L.MINE_SLOT))

    @property
    def arena_id(self) -> int:
        """The arena's 128-bit number."""
        return self._made.arena_id

    @property
    def path(self) -> str:
        """Directory of a named arena, "" of an anonymous one."""
        return self._made.path

    def has_other_members(self) -> bool:
        """Tell whether another living process is a member."""
        self.reap()
        own = self.member.my_word(L.MINE_SLOT)
        return any(slot != own for slot, _, _ in attach.member_pids(self.member))

    def address(self) -> Address:
        """Where this arena is, as data for handles."""
        self._check_open()
        return attach.address_of(self._made)

    def __repr__(self) -> str:
        where = self.path or f"anonymous {self._made.arena_id:032x}"
        return f"<Arena {where}{', closed' if self._closed else ''}>"

    # --- references ----------------------------------------------------------------------------

    def hold_object(self, index: int, generation: int, by: int) -> Hold:
        """Take a reference to an object known by its numbers. StaleHandleError if it is gone."""
        self._check_open()
        while True:
            held = self.member.hold_first(index, generation, by)
            if isinstance(held, Hold):
                return held
            if held == L.STALE:
                raise StaleHandleError(
                    f"object {index} (generation {generation}) of this arena was freed: its last "
                    "reference is gone. Keep a reference, or publish it under a name"
                )
            self.make_room(held)

    # --- views ---------------------------------------------------------------------------------

    def make_view(
        self, hold: Hold, by: int, *, writable: bool = True, private: bool = False
    ) -> View:
        """Return a contiguous view of a held object, holding it by a reference of kind `by`."""
        if private:
            return views.private(self._made, hold.another(by))
        made = self._made
        held = hold.another(by)  # first: of an object with a view, frames are not taken away
        runs = mapping.merged(self.member.runs(held))
        nbytes = sum(count for _, count in runs) * self.frame_bytes
        if len(runs) == 1:
            base = made.direct.writable_address if writable else self._read_only_address()
            address = base + runs[0][0] * self.frame_bytes
            return make_view(held, address, nbytes, writable, 0)
        found = self._views.get((held.index, held.generation, nbytes, writable))
        if found is not None:
            return found
        return self._stitch(held, runs, nbytes, writable)

    def _stitch(self, held: Hold, runs: list[tuple[int, int]], nbytes: int, writable: bool) -> View:
        if not writable:
            self._read_only_address()
        address = mapping.vmap(self._made.direct, runs, self.frame_bytes, writable)
        try:
            self.member.add_range(address, nbytes)
        except BaseException:
            mapping.vunmap(address, nbytes)
            raise
        mapping.budget.hand_over(address)
        made = make_view(held, address, nbytes, writable, len(runs))
        self._views[(held.index, held.generation, nbytes, writable)] = made
        return made

    def direct_address_of(self, hold: Hold, writable: bool = True) -> int:
        """Return where a held object of one run lies in the direct map, 0 if it has several."""
        address: int = self.member.address_of(hold)
        if writable or address == 0:
            return address
        return address - self.direct_address + (self._read_only or self._read_only_address())

    def offset_in_object(self, hold: Hold, address: int) -> int:
        """Return which byte of a held object of one run an address of the direct map is."""
        first, _ = self.member.first_run(hold)
        base = self.direct_address
        if not base <= address < base + self._made.direct.length:
            base = self._read_only_address()
        return address - base - first * self.frame_bytes

    def _read_only_address(self) -> int:
        """The read-only direct map, made and noted for fork when first asked for."""
        with self._lock:
            address = self._made.direct.make_read_only(self.member.add_range)
            self._read_only = address
        return address

    # --- looks and care ------------------------------------------------------------------------

    def stats(self) -> look.Stats:
        """Return the arena's numbers, after reaping dead members."""
        self.reap()
        return look.stats(self._made)

    def objects(self) -> list[look.ObjectInfo]:
        """Return every object, with its holders, after reaping dead members."""
        self.reap()
        return list(look.objects(self._made))

    def holders(self, obj: Scamem | int) -> list[look.Holder]:
        """Return who holds an object, by kind, pid and name, after reaping dead members."""
        self.reap()
        return look.holders(self._made, obj if isinstance(obj, int) else obj.index)

    def loans(self) -> list[look.LoanInfo]:
        """Return every handle on its way that was not loaded yet, with its age."""
        self.reap()
        return list(look.loans(self._made))

    def check(self) -> list[Finding]:
        """Return what does not hold of the rules I1 to I7, each with its rule, place and message.

        Empty when all holds. Dead members are reaped first. The rules are tried on a copy that is
        made under the lock, so that others work on meanwhile.
        """
        self.reap()
        return snapshot.findings(self._made)

    def reap(self, loans: bool = False) -> int:
        """Reap dead members and finish what they left; return how many were reaped.

        Parameters
        ----------
        loans : also give up loans in transit whose lender let go or died, whatever their age,
            where nothing else holds the object.
        """
        self._check_open()
        self._made.refresh_descriptors()
        count = self.member.reap()
        if loans:
            lending.expire(self.member, 0)
        return count

    def free_bitmap(self) -> NDArray[np.bool_]:
        """Return which frames are in no object, as of now, for pictures: bool, one a frame.

        Up to the last section that is online; frames without memory count as free.
        """
        self._check_open()
        words = changes.section_words(self.member, 0, self.geometry.sections)
        online = max(
            (k + 1 for k, word in enumerate(words) if word & L.MASK_8 in USABLE), default=0
        )
        used = np.zeros(online << self.geometry.section_shift, dtype=bool)
        for info in look.objects(self._made):
            for start, count in self.member.runs_of(info.index):
                used[start : start + count] = True
        return ~used


def _trim_surplus() -> None:
    for arena in list(ArenaBase._joined.values()):
        arena.trim_surplus()


surplus_handlers.append(_trim_surplus)


def _after_fork_in_child() -> None:
    """Make this process's Python state its own; the core's handlers have run already."""
    ArenaBase._lock = threading.RLock()
    for arena in ArenaBase._joined.values():
        arena._made.changing = room.Turns()
    mapping.budget.after_fork_in_child()
    lost = [arena for arena in ArenaBase._joined.values() if not arena.member.is_active()]
    if lost:
        message = (
            "scamem: no member slot or record was to be had for this forked process; arrays that "
            "it inherited will fault if touched. Use the spawn start method, or more slots\n"
        )
        os.write(2, message.encode())


os.register_at_fork(after_in_child=_after_fork_in_child)
