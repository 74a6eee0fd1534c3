"""`Arena`, the public class. A facade: each method calls the module that does the work."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Self

from .backing.naming import Name
from .backing.text import Size, bytes_of
from .core.store.geometry import FRAME_BYTES
from .handles import convert
from .handles.handle import loans_limit, transit_grace_s
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
    from .arrays import making
    from .backing.nodes import Machine
    from .datasets import freezing
    from .handles import mapping, names
    from .looks import methods
    from .membership import serving
    from .memory import sections as memory
    from .objects import pages
    from .together import openings, queues, synchronizing, topics
else:
    freezing = Later("scamem.datasets.freezing")
    making = Later("scamem.arrays.making")
    mapping = Later("scamem.handles.mapping")
    memory = Later("scamem.memory.sections")
    methods = Later("scamem.looks.methods")
    names = Later("scamem.handles.names")
    openings = Later("scamem.together.openings")
    pages = Later("scamem.objects.pages")
    queues = Later("scamem.together.queues")
    serving = Later("scamem.membership.serving")
    synchronizing = Later("scamem.together.synchronizing")
    topics = Later("scamem.together.topics")


class Arena:
    """An arena: shared memory, made of page frames, that several processes have joined.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena["numbers"] = np.arange(3)
    >>> sorted(arena), arena["numbers"].sum().item()
    (['numbers'], 3)

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
    def join(
        cls,
        name: Name | None = None,
        *,
        socket: str | os.PathLike[str] | None = None,
        readonly: bool = False,
    ) -> Arena:
        """Join an existing arena.

        Parameters
        ----------
        name : of a named arena: a word, a path with a slash, or a pathlib.Path.
        socket : instead of a name: the path of a socket at which a member serves (see `serve`).
        readonly : map the frames read-only in this process. Its arrays are read-only, writes by C
            code are SIGSEGV, and what allocates or writes raises ReadOnlyMemberError. Copy-on-write
            views (mode="c") can be made. It is still a member: it counts, and can end references.
            A process has one Arena per arena, so joining again returns the read-only one.

        >>> scamem.Arena.join("nobody/made/this")
        Traceback (most recent call last):
            ...
        scamem.errors.ArenaNotFoundError: ...

        Raises
        ------
        ArenaNotFoundError : there is none; the message says if another place of this user has one.
            Or nobody serves at the socket.
        ArenaRefusedError : another user owns it; the socket's mode bits keep this user out; or this
            version cannot use what is there.
        ArenaUnreachableError : the process that serves does not answer.
        ValueError : readonly, and this process has joined the arena already, to write.
        """
        if (name is None) == (socket is None):
            raise TypeError("Arena.join takes a name, or socket=; give one of them")
        found: Arena
        if socket is not None:
            found = joined.join_served(socket, readonly=readonly).arena
        else:
            found = joined.join(name, readonly=readonly).arena
        return found

    serve = serving.serve

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

        >>> arena = scamem.Arena.create(capacity="64M")
        >>> x = arena.zeros(3)
        >>> arena.close()
        >>> arena.closed, x.tolist()
        (True, [0.0, 0.0, 0.0])

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
    def readonly(self) -> bool:
        """Whether this process has joined with readonly=True."""
        return self._seat.readonly

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

        >>> arena = scamem.Arena.create(capacity="64M")
        >>> arena.alloc("10K").nbytes    # 3 frames
        12288

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

    ring = openings.ring
    growable = openings.growable

    freeze = freezing.freeze
    lock = synchronizing.lock
    rlock = synchronizing.rlock
    rwlock = synchronizing.rwlock
    condition = synchronizing.condition
    event = synchronizing.event
    semaphore = synchronizing.semaphore
    barrier = synchronizing.barrier

    queue = queues.queue
    topic = topics.topic

    # --- any values, and names ------------------------------------------------------------------

    put = mapping.put
    get = mapping.get
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

    stats = methods.stats
    objects = methods.objects
    holders = methods.holders
    loans = methods.loans
    check = methods.check
    reap = methods.reap
    free_bitmap = methods.free_bitmap

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
        """Bytes of free memory that the arena keeps; more is trimmed automatically.

        All members share the setting; the default is a quarter of the capacity, and at least
        64 MiB. If a release leaves 2 MiB more than this, its process trims soon after, in its main
        thread between two bytecodes. It does not do so while trimmed memory is needed again: for
        10 s after an allocation, by any member, that had to take memory from the system.
        """
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
