"""`Arena`, the public class. A facade: each method calls the module that does the work."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Self

from .arrays import making
from .backing.naming import Name
from .backing.text import Size, bytes_of
from .core.store.geometry import FRAME_BYTES
from .errors import NameNotFoundError, WaitTimeoutError
from .handles import convert, values
from .handles.handle import Handle, loans_limit, transit_grace_s
from .handles.missing import MISSING
from .handles.unloaded import or_unloaded
from .later import Later
from .membership import joined
from .membership.files import Address
from .membership.member import Hold
from .membership.seat import Seat
from .memory import surplus
from .memory.allocation import BY_HAND, FAST_BYTES, Node, allocate
from .objects.scamem import Scamem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .backing.nodes import Machine
    from .core.walk import Finding
    from .handles import mapping, names
    from .looks import objects as looks
    from .looks import snapshot, stats
    from .memory import sections as memory
    from .memory import warming
    from .objects import pages
    from .together import growable, ring, synchronizing
else:
    looks = Later("scamem.looks.objects")
    mapping = Later("scamem.handles.mapping")
    memory = Later("scamem.memory.sections")
    warming = Later("scamem.memory.warming")
    names = Later("scamem.handles.names")
    pages = Later("scamem.objects.pages")
    growable = Later("scamem.together.growable")
    ring = Later("scamem.together.ring")
    synchronizing = Later("scamem.together.synchronizing")
    snapshot = Later("scamem.looks.snapshot")
    stats = Later("scamem.looks.stats")


class Arena:
    """An arena: shared memory, made of page frames, that several processes have joined.

    `Arena.open(name)` joins a named arena or creates it; `Arena.create()` and `Arena.join(name)` do
    one or the other. An arena is also a mutable mapping from names to published values, with the
    methods of a dict. Two things differ: `get(name)` without a default raises NameNotFoundError,
    and an arena without names is true.

    Attributes
    ----------
    frame_bytes : bytes in a frame. capacity : bytes in all frames, with or without memory.

    Ownership: a process has one Arena per arena; joining again returns the same one. The process
    leaves after `close`, once it holds nothing there; otherwise when it ends.
    Threads: any. fork: the child becomes a member, with a reference for each of its parent's.
    """

    def __init__(self, seat: Any = None, *_given: object, **_named: object) -> None:
        if not isinstance(seat, Seat):
            raise TypeError(
                "Arena cannot be called; use Arena.open(name) to join a named arena or create it, "
                "Arena.join(name), or Arena.create(), with or without a name"
            )
        self._seat: Seat = seat
        self._alloc_fast = seat.member.alloc_fast
        self.frame_bytes: int = seat.frame_bytes
        self.capacity: int = seat.capacity

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
        """Create an arena and join it.

        >>> arena = scamem.Arena.create(capacity="64M")

        Parameters
        ----------
        name : for unrelated processes and the command line to join: a word (a directory in this
            user's place on tmpfs), a path with a slash, or a pathlib.Path; an empty directory there
            is replaced. None: an anonymous arena, which ends with its last member.
        capacity : the most bytes that it can grow to, as a number or as text such as "64M", rounded
            up to 8 MiB. It costs address space, not memory. None: all that this machine or its
            cgroup could ever give.
        huge : bytes in zone "HUGE", taken from the system's pool of reserved 2 MiB pages; 0: none.
            None: in an anonymous arena, whatever that pool has or may have now.
        machine : describe other NUMA nodes than this machine's; excludes capacity and huge.
        slots : the most processes that can be members at once.
        init_on_alloc : zero frames before an object gets them, for the arena's whole life, so that
            no process sees what a previous owner left, even one that died.

        Raises
        ------
        ArenaExistsError : an arena of this name exists.
        ArenaRefusedError : another user owns the place; the path holds something other than an
            arena or an empty directory; or another place of this user has an arena of this name.
        OutOfMemoryError : address space or file size is limited; `limit` names the limit.
        """
        made = joined.create(name, capacity, huge, machine, slots, init_on_alloc)
        found: Arena = made.arena
        return found

    @classmethod
    def join(cls, name: Name) -> Arena:
        """Join an existing named arena: a word, a path with a slash, or a pathlib.Path.

        Raises
        ------
        ArenaNotFoundError : there is none; the message says if another place of this user has one.
        ArenaRefusedError : another user owns it, or this version cannot use what is there.
        """
        found: Arena = joined.join(name).arena
        return found

    @classmethod
    def open(cls, name: Name, *, capacity: Size | None = None) -> Arena:
        """Join a named arena, or create it with `capacity` if it does not exist.

        >>> with scamem.Arena.open("sensors") as arena:
        ...     arena["camera/latest"] = np.zeros((480, 640))
        ...     arena["camera/latest"].shape
        (480, 640)

        Parameters and errors: see `join` and `create`.
        """
        found: Arena = joined.join_or_create(name, capacity).arena
        return found

    def close(self) -> None:
        """Close the arena in this process: it refuses new work. A second call does nothing.

        Arrays, views and pins that this process still holds stay valid and keep their objects. The
        process leaves the arena when the last of them is dropped, or when it ends.
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
        """This process's member slot; a forked child has another."""
        return self._seat.slot

    @property
    def arena_id(self) -> int:
        """The arena's 128-bit number."""
        return self._seat.arena_id

    @property
    def path(self) -> str:
        """The directory of a named arena, "" for an anonymous one."""
        return self._seat.path

    def __repr__(self) -> str:
        return repr(self._seat)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reach, (self._seat.address(),)

    # --- objects and arrays ---------------------------------------------------------------------

    def alloc(self, nbytes: Size, *, node: Node = None, zone: str | None = None) -> Scamem:
        """Allocate an object of page frames, without a shape or type.

        Parameters
        ----------
        nbytes : the size, as a number or as text such as "1M". It is rounded up to whole frames
            (4,096 bytes), or in zone "HUGE" to whole huge pages (2 MiB). The least is one frame.
        node : a node number binds: memory from this node, or an error. "interleave" spreads the
            object over the nodes, one piece each, if it has 2 MiB per node; smaller objects take
            the nodes in turn. None: what SCAMEM_NODE says; else the node this thread runs on, then
            the others, nearest first, and several together if no single one has room.
        zone : "NORMAL" or "HUGE". None: what SCAMEM_ZONE says, else "NORMAL".

        Returns
        -------
        Scamem : one reference. The frames hold whatever their last owner left there (see `zeros`).

        Raises
        ------
        OutOfMemoryError : names the limit that was met; nothing was allocated.
        ValueError : the size is negative, or the arena has no such node or zone.
        """
        if nbytes.__class__ is not int:
            nbytes = bytes_of(nbytes)
        if node is None and zone is None and 0 < nbytes <= FAST_BYTES and not self._seat.closed:
            held = self._alloc_fast((nbytes + FRAME_BYTES - 1) // FRAME_BYTES, BY_HAND)
            if held.__class__ is Hold:
                return Scamem(self._seat, held)
        return Scamem(self._seat, allocate(self._seat, nbytes, BY_HAND, node=node, zone=zone))

    empty = making.empty
    zeros = making.zeros
    full = making.full
    array = making.array
    asarray = making.asarray
    from_file = making.from_file
    concatenate = making.concatenate

    ring = ring.ring
    growable = growable.growable

    lock = synchronizing.lock
    rlock = synchronizing.rlock
    rwlock = synchronizing.rwlock
    condition = synchronizing.condition
    event = synchronizing.event
    semaphore = synchronizing.semaphore
    barrier = synchronizing.barrier

    # --- any values, and names ------------------------------------------------------------------

    def put(self, value: Any) -> Handle:
        """Store a value and return a handle of it.

        >>> arena = scamem.Arena.create(capacity="64M")
        >>> handle = arena.put({"run": 7, "data": np.arange(3)})
        >>> arena.get(handle)["run"]
        7

        An array of this arena is not copied. Another array, or bytes, is copied once. Any other
        object is pickled (protocol 5): its buffers are copied once, and not when it is loaded.

        Raises
        ------
        OutOfMemoryError : names the limit that was met.

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
        """Return the value that a name or a handle refers to.

        >>> arena = scamem.Arena.create(capacity="64M")
        >>> arena["numbers"] = np.arange(3)
        >>> int(arena.get("numbers").sum())
        3

        Parameters
        ----------
        key : a published name, a Handle, or the bytes of a Handle.
        default : for a name: returned in place of NameNotFoundError and WaitTimeoutError.
        timeout : for a name: seconds to wait until it is published; None, 0 or less: do not wait;
            math.inf: wait for ever.
        writable : False for an array that cannot be written.
        newer_than : for a name: a version; wait for a value published after it (see `watch`).

        Returns
        -------
        An Array over the stored frames (read-only if `put` copied it), bytes, the unpickled object,
        or a Scamem if one was published. An Array of a subclass comes back as that subclass if this
        process has defined it, else as a plain Array.

        Raises
        ------
        NameNotFoundError : the name was not published in time.
        WaitTimeoutError : the name exists, but nothing newer than `newer_than` came in time.
        ArenaRemovedError : the arena was removed, so no new process can publish the name.
        StaleHandleError : the handle's object was freed.

        Ownership: the result holds its own reference.
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
        """Return sizes and counts of the arena, after reaping dead members."""
        self.reap()
        return stats.stats(self._seat)

    def objects(self) -> list[looks.ObjectInfo]:
        """Return every object with its holders, after reaping dead members."""
        self.reap()
        return list(looks.objects(self._seat))

    def holders(self, obj: Scamem | int) -> list[looks.Holder]:
        """Return an object's holders, by kind, pid and name, after reaping dead members."""
        self.reap()
        return looks.holders(self._seat, obj if isinstance(obj, int) else obj.index)

    def loans(self) -> list[looks.LoanInfo]:
        """Return every handle that was sent and not loaded yet, after reaping dead members."""
        self.reap()
        return list(looks.loans(self._seat))

    def check(self) -> list[Finding]:
        """Check the rules I1 to I7; return the violations, with their places. [] if there are none.

        Dead members are reaped first. The lock is held only while the control file is copied.
        """
        self.reap()
        return snapshot.findings(self._seat)

    def reap(self, loans: bool = False) -> int:
        """Release what dead members held, and finish what they began; return how many were reaped.

        `loans`: also drop each loan in transit, of any age, whose lender has released the object or
        died, if nothing else holds the object.
        """
        return self._seat.reap(loans=loans)

    def free_bitmap(self) -> NDArray[np.bool_]:
        """Return which frames are free, as bool; see `scamem.looks.stats.free_bitmap`."""
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
    warm = warming.warm

    @property
    def retention(self) -> int:
        """Bytes of free memory that the arena keeps; see `scamem.memory.sections.retention`."""
        return memory.retention(self._seat)

    @retention.setter
    def retention(self, nbytes: Size) -> None:
        memory.set_retention(self._seat, bytes_of(nbytes))

    @property
    def loans_limit(self) -> int:
        """The most handles that can be sent and not loaded at one time, for all members.

        The default is the arena's maximum: one per frame, from 65,536 to 1,048,576. A handle that
        nobody loads takes 32 bytes.
        """
        return loans_limit(self._seat.member)

    @loans_limit.setter
    def loans_limit(self, count: int) -> None:
        convert.set_loans_limit(self._seat, count)

    @property
    def transit_grace_s(self) -> int:
        """Seconds, at least, that an unread handle keeps its object after the sender lets go."""
        return transit_grace_s(self._seat.member)

    @transit_grace_s.setter
    def transit_grace_s(self, seconds: int) -> None:
        convert.set_transit_grace(self._seat, seconds)


@or_unloaded
def _reach(address: Address) -> Arena:
    """Join the arena that a pickle of an Arena refers to."""
    found: Arena = joined.reach(address).arena
    return found


Seat.make_arena = Arena
surplus.install()
MutableMapping.register(Arena)  # no base class: its __eq__ would compare all values
