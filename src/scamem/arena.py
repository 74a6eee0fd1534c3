"""`Arena`: what people use. A facade: each method is a line over the room that does the work."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .arrays import concatenate as joining
from .arrays import create, files
from .arrays.array import Array
from .backing.naming import Name
from .backing.nodes import Machine
from .backing.text import Size, bytes_of
from .core.store.geometry import FRAME_BYTES
from .core.walk import Finding
from .errors import NameNotFoundError, WaitTimeoutError
from .handles import convert, mapping, names, values
from .handles.elsewhere import register_elsewhere
from .handles.handle import Handle, loans_limit, transit_grace_s
from .handles.mapping import MISSING
from .handles.unloaded import or_unloaded
from .looks import objects as looks
from .looks import snapshot, stats
from .membership import joined
from .membership.files import Address
from .membership.member import Hold
from .membership.seat import Seat
from .memory import sections as memory
from .memory.allocation import BY_HAND, FAST_BYTES, Node, allocate
from .objects import pages
from .objects.scamem import Scamem
from .together.growable import GrowableArray
from .together.ring import RingBuffer


class Arena:
    """Shared memory of page frames that several processes have joined.

    A mutable mapping of names to what was published under them, with the methods of a dict: but
    `get(name)` without a default raises NameNotFoundError, and an arena without names is true.
    Made by `Arena.create`, `Arena.join` and `Arena.open`.

    Attributes
    ----------
    frame_bytes : bytes of a frame. capacity : bytes of all frames, online or not.

    Ownership: one per process and arena; joining again returns the same one. It is left when it is
    closed and nothing of it is held any more, else when the process ends.
    Threads: any. fork: the child is a member of its own, with a reference for each of its parent's.
    """

    def __init__(self, seat: Any = None, *_given: object, **_named: object) -> None:
        if not isinstance(seat, Seat):
            raise TypeError(
                "Arena cannot be called; use Arena.open(name) to join a named arena or create it, "
                "Arena.join(name), or Arena.create(), with or without a name"
            )
        self._seat = seat
        self._alloc_fast = seat.member.alloc_fast
        self.frame_bytes = seat.frame_bytes
        self.capacity = seat.capacity
        register_elsewhere()  # joblib may have been imported since

    # --- life cycle ----------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        name: Name | None = None,
        *,
        capacity: Size | None = None,
        huge: Size | None = None,
        machine: Machine | None = None,
        slots: int = 4096,
        init_on_alloc: bool = False,
    ) -> Arena:
        """Make a new arena and join it.

        Parameters
        ----------
        name : of a named arena, for unrelated processes and the command line: a word (below a
            directory of this user's on tmpfs), a path with a slash, or a pathlib.Path. An empty
            directory at that path is replaced. None: anonymous, gone with its last member.
        capacity : bytes that it may grow to, rounded up to 8 MiB, as a number or as text such as
            "64M"; address space, not memory. None: as much as this machine or cgroup could ever
            give.
        huge : bytes, or text, of zone "HUGE", in pages of 2 MiB that the system's pool has set
            aside; 0: none. None: in an anonymous arena what the pool has or may have now.
        machine : nodes to lay the arena out for, instead of this machine's; then neither capacity
            nor huge can be given.
        slots : how many processes can be members at once.
        init_on_alloc : for good: frames are zeroed before an object has them, so that nobody sees
            what their last owner left there, whoever died in between.

        Raises
        ------
        ArenaExistsError : there is an arena of this name.
        ArenaRefusedError : the place is another user's; what is at the path is neither an arena
            nor an empty directory; or another place of this user has an arena of the name.
        OutOfMemoryError : address space or file size is limited; `limit` names by what.
        """
        made = joined.create(name, capacity, huge, machine, slots, init_on_alloc)
        found: Arena = made.arena
        return found

    @classmethod
    def join(cls, name: Name) -> Arena:
        """Join the named arena `name`: a word, a path with a slash, or a pathlib.Path.

        Raises
        ------
        ArenaNotFoundError : there is none; says so if another place of this user has the name.
        ArenaRefusedError : it is another user's, or no arena that this version can use.
        """
        found: Arena = joined.join(name).arena
        return found

    @classmethod
    def open(cls, name: Name, *, capacity: Size | None = None) -> Arena:
        """Join the named arena `name`, or create it with `capacity` if there is none.

        Raises
        ------
        ArenaRefusedError, OutOfMemoryError : as `join` and `create`.
        """
        found: Arena = joined.join_or_create(name, capacity).arena
        return found

    def close(self) -> None:
        """Leave the arena as far as can be: no new work. Again: nothing.

        What this process still holds (arrays, views, pins) stays valid and mapped, and keeps its
        objects; the slot is given up when nothing is held, or when the process ends.
        """
        joined.close(self._seat)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether this process has closed the arena."""
        return self._seat.closed

    @property
    def slot(self) -> int:
        """This process's slot; a forked child has another."""
        return self._seat.slot

    @property
    def arena_id(self) -> int:
        """The arena's 128-bit number."""
        return self._seat.arena_id

    @property
    def path(self) -> str:
        """Directory of a named arena, "" of an anonymous one."""
        return self._seat.path

    def __repr__(self) -> str:
        return repr(self._seat)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reach, (self._seat.address(),)

    # --- objects and arrays ---------------------------------------------------------------------

    def alloc(self, nbytes: Size, *, node: Node = None, zone: str | None = None) -> Scamem:
        """Allocate an object.

        Parameters
        ----------
        nbytes : a number, or text such as "1M"; at least one frame is given; rounded up to whole
            frames (4,096 bytes), in zone "HUGE" to whole huge pages (2 MiB).
        node : a node's number binds: memory of this node or an error. "interleave" spreads an
            object over the nodes, in as many pieces as there are nodes, if it has 2 MiB for each;
            smaller ones go to the nodes in turn. None: the node that this thread runs on, then the
            others, nearest first, and all together for what fits none; or what SCAMEM_NODE says.
        zone : "NORMAL" or "HUGE"; None: "NORMAL", or what SCAMEM_ZONE says.

        Returns
        -------
        Scamem : the frames hold whatever their last object left there (see `zeros`).

        Raises
        ------
        OutOfMemoryError : with the limit that was met; nothing is half done.
        ValueError : a negative size, or a node or zone that the arena does not have.

        Ownership: the returned object is one reference.
        """
        if nbytes.__class__ is not int:
            nbytes = bytes_of(nbytes)
        if node is None and zone is None and 0 < nbytes <= FAST_BYTES and not self._seat.closed:
            held = self._alloc_fast((nbytes + FRAME_BYTES - 1) // FRAME_BYTES, BY_HAND)
            if held.__class__ is Hold:
                return Scamem(self._seat, held)
        return Scamem(self._seat, allocate(self._seat, nbytes, BY_HAND, node=node, zone=zone))

    def empty(self, shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
        """Return an uninitialised array; see `scamem.empty`."""
        return create.empty(self._seat, shape, dtype, order, **where)

    def zeros(self, shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
        """Return an array of zeros; see `scamem.zeros`."""
        return create.zeros(self._seat, shape, dtype, order, **where)

    def full(
        self,
        shape: Any,
        fill_value: Any,
        dtype: DTypeLike | None = None,
        order: str = "C",
        **where: Any,
    ) -> Array:
        """Return an array filled with a value; see `scamem.full`."""
        return create.full(self._seat, shape, fill_value, dtype, order, **where)

    def array(self, values: ArrayLike, dtype: DTypeLike | None = None, **where: Any) -> Array:
        """Return a copy of values; see `scamem.array`."""
        return create.array(self._seat, values, dtype, **where)

    def asarray(self, values: ArrayLike, dtype: DTypeLike | None = None, **where: Any) -> Array:
        """Return values themselves if they lie here already, else a copy; see `scamem.asarray`."""
        return create.asarray(self._seat, values, dtype, **where)

    def from_file(
        self,
        path: files.Path,
        dtype: DTypeLike | None = None,
        shape: Any = None,
        offset: int = 0,
        progress: files.Progress | None = None,
        **where: Any,
    ) -> Array:
        """Return a file's data, read straight into frames; see `scamem.arrays.files.from_file`."""
        return files.from_file(self._seat, path, dtype, shape, offset, progress, **where)

    def concatenate(
        self, arrays: Sequence[ArrayLike], axis: int = 0, copy: bool | None = None
    ) -> Array:
        """Join arrays along an axis, without copying them where that can be.

        See `scamem.concatenate`; a copy is made in this arena, and only its arrays are stitched.
        """
        return joining.concatenate(self._seat, arrays, axis, copy)

    def ring(self, nbytes: Size) -> RingBuffer:
        """Make a ring that one process writes to and another reads.

        Parameters
        ----------
        nbytes : its capacity at least, a number of bytes or text such as "64K".

        Returns
        -------
        RingBuffer : its capacity is whole frames; it goes to another process by any pickling.

        Raises
        ------
        OutOfMemoryError : with the limit that was met.
        TooScatteredError : its frames are too scattered to be mapped, twice.
        """
        return RingBuffer.create(self._seat, bytes_of(nbytes))

    def growable(
        self, row_shape: Any = (), dtype: DTypeLike = float, *, reserve: Size | None = None
    ) -> GrowableArray:
        """Make an append-only array that grows in place, and that other processes follow.

        Parameters
        ----------
        row_shape : an int or ints; () for an array of one dimension.
        dtype : of its elements; anything but one that holds Python objects.
        reserve : bytes of address space, a number or text such as "1G", that each process
            reserves for it, which is as far as it can grow; None: the arena's capacity.

        Raises
        ------
        OutOfMemoryError : no frame, or no address space, is left; `limit` says which.
        TypeError, ValueError : as NumPy's.
        """
        room = None if reserve is None else bytes_of(reserve)
        return GrowableArray.create(self._seat, row_shape, dtype, room)

    # --- any values, and names ------------------------------------------------------------------

    def put(self, value: Any) -> Handle:
        """Store a value and return a handle of it.

        An array of this arena is not copied; another array, or bytes, is copied once; any other
        object is pickled (protocol 5), its buffers once copied into frames and never again.

        Raises
        ------
        OutOfMemoryError : with the limit that was met.

        Ownership: the handle is one reference; the value stays the caller's.
        """
        return values.put(self._seat, value)

    def get(
        self,
        key: str | Handle | bytes,
        default: Any = MISSING,
        *,
        timeout: float | None = None,
        writable: bool = True,
        newer_than: int = 0,
    ) -> Any:
        """Return what a name or a handle stands for.

        Parameters
        ----------
        key : a published name, or a Handle, or the bytes of one.
        default : of a name: what to return, instead of raising, if it is not published in time, or
            nothing newer is.
        timeout : of a name: seconds to wait until it is published; None, 0 or less: do not wait,
            math.inf: as long as it takes.
        writable : False for an array that cannot be written.
        newer_than : of a name: a version; what is returned was published later (see `watch`).

        Returns
        -------
        An Array over the very frames (read-only for what `put` copied), bytes, the unpickled
        object, or a Scamem where one was published. An Array of a subclass is of that subclass if
        this process has defined it, else a plain Array.

        Raises
        ------
        NameNotFoundError : the name is not published, in that time, and there is no default.
        WaitTimeoutError : it is, but nothing newer than `newer_than`, in that time.
        TypeError, ValueError : a timeout that is no number of seconds.
        ArenaRemovedError : it is not, and the arena was removed, so that no newcomer can.
        StaleHandleError : the handle's object is gone.

        Ownership: the result holds a reference of its own.
        """
        if isinstance(key, str):
            try:
                return names.find(
                    self._seat, key, timeout, writable=writable, newer_than=newer_than
                )[0]
            except (NameNotFoundError, WaitTimeoutError):
                if default is MISSING:
                    raise
                return default
        return convert.from_handle(key, writable=writable)

    publish = mapping.publish
    unpublish = mapping.unpublish

    def __getitem__(self, name: str) -> Any:
        return names.find(self._seat, name)[0]

    def __setitem__(self, name: str, value: Any) -> None:
        names.publish(self._seat, name, value, replace=True)

    def __delitem__(self, name: str) -> None:
        names.unpublish(self._seat, name)

    def __contains__(self, name: object) -> bool:
        return names.contains(self._seat, name)

    def __len__(self) -> int:
        return names.count(self._seat)

    def __iter__(self) -> Iterator[str]:
        return names.names(self._seat)

    def __bool__(self) -> bool:
        return True  # an arena without names is still an arena

    keys = mapping.keys
    values = mapping.values
    items = mapping.items
    pop = mapping.pop
    popitem = mapping.popitem
    setdefault = mapping.setdefault
    update = mapping.update
    clear = mapping.clear
    version = mapping.version
    watch = mapping.watch

    # --- looks and care -------------------------------------------------------------------------

    def stats(self) -> stats.Stats:
        """Return the arena's numbers, after reaping dead members."""
        self.reap()
        return stats.stats(self._seat)

    def objects(self) -> list[looks.ObjectInfo]:
        """Return every object, with its holders, after reaping dead members."""
        self.reap()
        return list(looks.objects(self._seat))

    def holders(self, obj: Scamem | int) -> list[looks.Holder]:
        """Return who holds an object, by kind, pid and name, after reaping dead members."""
        self.reap()
        return looks.holders(self._seat, obj if isinstance(obj, int) else obj.index)

    def loans(self) -> list[looks.LoanInfo]:
        """Return every handle on its way that was not loaded yet, with its age."""
        self.reap()
        return list(looks.loans(self._seat))

    def check(self) -> list[Finding]:
        """Return what does not hold of the rules I1 to I7, each with its rule, place and message.

        Empty when all holds. Dead members are reaped first. The rules are tried on a copy that is
        made under the lock, so that others work on meanwhile.
        """
        self.reap()
        return snapshot.findings(self._seat)

    def reap(self, loans: bool = False) -> int:
        """Reap dead members and finish what they left; return how many were reaped.

        Parameters
        ----------
        loans : also give up loans in transit whose lender let go or died, whatever their age,
            where nothing else holds the object.
        """
        return self._seat.reap(loans=loans)

    def free_bitmap(self) -> NDArray[np.bool_]:
        """Return which frames are in no object, as of now, for pictures: bool, one a frame.

        Up to the last section that is online; frames without memory count as free.
        """
        self._seat.check_open()
        return stats.free_bitmap(self._seat)

    # --- frames and sections --------------------------------------------------------------------

    page_to_nid = pages.page_to_nid
    page_to_section = pages.page_to_section
    page_zone = pages.page_zone
    page_to_scamem = pages.page_to_scamem
    page_to_object = pages.page_to_object

    sections = memory.sections
    online_section = memory.online_section
    offline_section = memory.offline_section
    trim = memory.trim

    @property
    def retention(self) -> int:
        """Bytes of free memory that the arena keeps; see `scamem.memory.sections.retention`."""
        return memory.retention(self._seat)

    @retention.setter
    def retention(self, nbytes: Size) -> None:
        memory.set_retention(self._seat, bytes_of(nbytes))

    # --- settings of the whole arena ------------------------------------------------------------

    @property
    def loans_limit(self) -> int:
        """How many handles may be on their way at once.

        By default as many as the arena has room for: one a frame, from 65,536 to 1,048,576. Each
        that nobody reads takes 32 bytes.
        """
        return loans_limit(self._seat.member)

    @loans_limit.setter
    def loans_limit(self, count: int) -> None:
        convert.set_loans_limit(self._seat, count)

    @property
    def transit_grace_s(self) -> int:
        """Seconds that an unread handle is kept for at least, also after its sender let go."""
        return transit_grace_s(self._seat.member)

    @transit_grace_s.setter
    def transit_grace_s(self, seconds: int) -> None:
        convert.set_transit_grace(self._seat, seconds)


@or_unloaded
def _reach(address: Address) -> Arena:
    """Join an arena that was pickled."""
    found: Arena = joined.reach(address).arena
    return found


Seat.make_arena = Arena
MutableMapping.register(Arena)  # no base class: its __eq__ would compare all values
