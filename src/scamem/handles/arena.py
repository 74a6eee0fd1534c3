"""`Arena`: what people use. Arrays, names, handles and any objects, on the arena layer."""

from __future__ import annotations

import multiprocessing
import os
import time
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scamem.arena import attach, look
from scamem.arena.arena import ArenaBase
from scamem.arena.member import Hold, release
from scamem.arena.objects import Scamem
from scamem.arena.shared import SharedObject
from scamem.arena.view import View
from scamem.arrays import create, files
from scamem.arrays.array import Array, locate
from scamem.arrays.construct import put_array
from scamem.arrays.without_copying import WithoutCopying
from scamem.backing import head_room, joining
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.errors import (
    NameExistsError,
    NameNotFoundError,
    ScamemError,
)

from . import objects
from .description import RAW, Description, decode, encode, encode_array
from .elsewhere import register_elsewhere
from .handle import Handle, Wire, load_hold, put_back, unpack, unpack_prefix
from .names import decode_name, encode_name

DESCRIPTION_BYTES_MAX = L.AREA_DESCRIPTION_WORDS * L.WORD_BYTES
RAW_DESCRIPTION = encode(Description(RAW, 0, (), None, None, False))
LOOK_AGAIN_S = 1.0
BY_PIN = L.BY_PIN


_by_id: weakref.WeakValueDictionary[bytes, Arena] = weakref.WeakValueDictionary()


class Arena(ArenaBase, WithoutCopying):
    """Shared memory of page frames that several processes have joined.

    A mapping of names to what was published under them: `arena[name]`, `in`, `del`, `len`,
    iteration. See ArenaBase for life cycle and allocation.
    """

    _default: ClassVar[Arena | None] = None
    by_handle = False  # whether this process joined it because something of it was sent here

    def __init__(self, made: attach.Attachment) -> None:
        super().__init__(made)
        register_elsewhere()  # joblib may have been imported since

    # --- the default arena ---------------------------------------------------------------------

    @classmethod
    def default(cls) -> Arena:
        """Return the arena that `scamem.array` and so on use, made if there is none.

        In order: the one in use; SCAMEM_ARENA (joined or created); in a child of multiprocessing,
        its parent's; the first arena that was joined by a handle; a new anonymous one.

        Threads: one is made, once. fork: the child has its parent's.
        """
        found = cls._default
        if found is not None and not found.closed and found.member.is_active():
            return found
        with ArenaBase._lock:
            found = cls._default
            if found is None or found.closed or not found.member.is_active():
                found = cls._find_default()
                cls._default = found
            return found

    @classmethod
    def _find_default(cls) -> Arena:
        name = os.environ.get("SCAMEM_ARENA")
        if name:
            return Arena.open(name)
        parent = multiprocessing.parent_process()
        if parent is not None and parent.pid is not None:
            arena = cls._default_of(parent.pid)
            if arena is not None:
                return arena
        for joined in ArenaBase._joined.values():
            if isinstance(joined, Arena) and joined.by_handle and joined.member.is_active():
                return joined
        size = Geometry.for_capacity(head_room.default_capacity_bytes())
        return Arena._new(size, "", attach.DEFAULT_LABEL)

    @classmethod
    def _default_of(cls, pid: int) -> Arena | None:
        """Join the default arena of another process, None if it has none that can be reached."""
        for descriptor, label in joining.labelled(pid, attach.DEFAULT_LABEL):
            arena_id = int(label.removeprefix(attach.DEFAULT_LABEL), 16)
            try:
                found = os.stat(f"/proc/{pid}/fd/{descriptor}")
                candidates = ((pid, descriptor),)
                return Arena.reach(
                    attach.Address(arena_id, found.st_dev, found.st_ino, "", candidates)
                )
            except (OSError, ScamemError):
                continue  # it was closed, or its process has ended: no default to be had there
        return None

    @classmethod
    def of_handle(cls, wire: Wire) -> Arena:
        """Return the arena that a handle's bytes come from, joined if need be."""
        found = _by_id.get(wire.arena_id)
        if found is None or found.closed or not found.member.is_active():
            found = _reach_by(unpack_prefix(wire.data[: wire.prefix_bytes]))
            _by_id[wire.arena_id] = found
        return found

    # --- arrays --------------------------------------------------------------------------------

    def empty(self, shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
        """Return an uninitialised array; see `scamem.empty`."""
        return create.empty(self, shape, dtype, order, **where)

    def zeros(self, shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
        """Return an array of zeros; see `scamem.zeros`."""
        return create.zeros(self, shape, dtype, order, **where)

    def full(
        self,
        shape: Any,
        fill_value: Any,
        dtype: DTypeLike | None = None,
        order: str = "C",
        **where: Any,
    ) -> Array:
        """Return an array filled with a value; see `scamem.full`."""
        return create.full(self, shape, fill_value, dtype, order, **where)

    def array(self, values: ArrayLike, dtype: DTypeLike | None = None, **where: Any) -> Array:
        """Return a copy of values; see `scamem.array`."""
        return create.array(self, values, dtype, **where)

    def asarray(self, values: ArrayLike, dtype: DTypeLike | None = None, **where: Any) -> Array:
        """Return values themselves if they lie here already, else a copy; see `scamem.asarray`."""
        return create.asarray(self, values, dtype, **where)

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
        return files.from_file(self, path, dtype, shape, offset, progress, **where)

    # --- handles and any objects ---------------------------------------------------------------

    def put(self, value: Any) -> Handle:
        """Store a value and return a handle of it.

        An array of this arena is not copied; another array, or bytes, is copied once; any other
        object is pickled (protocol 5), its buffers once copied into frames and never again.

        Raises
        ------
        OutOfMemoryError : with the limit that was met.

        Ownership: the handle is one reference; the value stays the caller's.
        """
        if not self._closed:
            made = put_array(self, value)
            if made is not None:
                try:
                    return Handle(self, made, encode_array(value, 0, True))
                except TypeError:
                    release(made)  # a dtype that only pickle knows
        if isinstance(value, Array):
            place = locate(value)
            if place is not None and place.hold.member is self.member:
                return Handle(
                    self, place.hold.another(L.BY_HAND), encode_array(value, place.offset)
                )
            value = value.view(np.ndarray)
        self._check_open()
        return objects.put(self, value)

    def get(
        self, key: str | Handle | bytes, timeout: float | None = None, *, writable: bool = True
    ) -> Any:
        """Return what a name or a handle stands for.

        Parameters
        ----------
        key : a published name, or a Handle, or the bytes of one.
        timeout : of a name: seconds to wait until it is published; None: do not wait, math.inf:
            as long as it takes.
        writable : False for an array that cannot be written.

        Returns
        -------
        An Array over the very frames (read-only for what `put` copied), bytes, the unpickled
        object, or a Scamem where one was published.

        Raises
        ------
        NameNotFoundError : nobody has published the name, in that time.
        StaleHandleError : the handle's object is gone.

        Ownership: the result holds a reference of its own.
        """
        if isinstance(key, str):
            return self._get_name(key, timeout, writable)
        return from_handle(key, writable=writable)

    def _get_name(self, name: str, timeout: float | None, writable: bool = True) -> Any:
        encoded = encode_name(name)
        deadline_s = None if timeout is None else time.monotonic() + timeout
        while True:
            self._check_open()
            held, description, event = self.member.hold_name(encoded, L.BY_PIN)
            if isinstance(held, Hold):
                return _value(self, held, description, writable)
            if held != L.NOT_FOUND:
                self.make_room(held)
                continue
            left_s = 0.0 if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0:
                raise NameNotFoundError(
                    f"nothing is published as {name!r}"
                    + (f" after {timeout:g} s" if timeout else "")
                    + f"; {len(self)} other names are (scamem ls). Publish it first, or wait "
                    "for it with timeout="
                )
            self.member.await_names(event, min(left_s, LOOK_AGAIN_S))
            self.reap()  # whom we wait for may be dead, and nobody else here to notice

    # --- names ---------------------------------------------------------------------------------

    def publish(self, name: str, value: Any, *, replace: bool = False) -> None:
        """Give an object a name, by which any member gets it, also after this process has ended.

        Parameters
        ----------
        name : 1 to 255 bytes of UTF-8.
        value : an Array or a view of one, a Scamem, a View, a Handle; anything else is `put` first.
        replace : let go of what the name shows now, in the same step; else NameExistsError.

        Raises
        ------
        NameExistsError : the name is taken.
        OutOfMemoryError : no room for the name's record, or for a copy.
        ValueError : the name, or a dtype's description, is too long.

        Ownership: the area holds one reference until the name is unpublished or replaced.
        """
        encoded = encode_name(name)
        self._check_open()
        hold, description = self._describe(value)
        if len(description) > DESCRIPTION_BYTES_MAX:
            raise ValueError(
                f"asked to publish an array whose dtype takes {len(description)} bytes to "
                f"describe; an area holds {DESCRIPTION_BYTES_MAX}. Publish its fields one by one, "
                "or arena.put() it"
            )
        while True:
            area = self.member.publish(hold, encoded, description, replace)
            if area < L.STATUS:
                return
            if area == L.EXISTS:
                raise NameExistsError(
                    f"{name!r} is published already; unpublish it first, choose another name, or "
                    "replace it (arena[name] = value)"
                )
            self.make_room(area)

    def _describe(self, value: Any) -> tuple[Hold, bytes]:
        """Return a reference to what a value lies in, and its description."""
        if isinstance(value, SharedObject):
            value = value.scamem
        if isinstance(value, Handle | Scamem | View):
            _check_whole(value)
            if value.hold.member is not self.member:
                raise ValueError(
                    f"asked to publish {value!r} here; it belongs to another arena, and would not "
                    "be kept by this one. Publish it there, or a copy of its data here"
                )
            return value.hold, value.description if isinstance(value, Handle) else RAW_DESCRIPTION
        place = locate(value) if isinstance(value, np.ndarray) else None
        if place is not None and place.hold.member is self.member:
            return place.hold, encode_array(value, place.offset)
        if type(value) is np.ndarray or isinstance(value, Array):
            try:
                made = create.array(self, value)
                place = locate(made)
                if place is not None:
                    return place.hold, encode_array(made, place.offset)
            except TypeError:
                pass  # a dtype that only pickle knows
        handle = self.put(value)
        return handle.hold.another(L.BY_HAND), handle.description

    def unpublish(self, name: str) -> None:
        """Take a name away, and its one reference; whoever maps or pins the object goes on.

        Raises
        ------
        NameNotFoundError : nothing is published under it.
        """
        self._check_open()
        if not self.member.unpublish(encode_name(name)):
            raise NameNotFoundError(f"nothing is published as {name!r}; {len(self)} names are")

    def __getitem__(self, name: str) -> Any:
        return self._get_name(name, None)

    def __setitem__(self, name: str, value: Any) -> None:
        self.publish(name, value, replace=True)

    def __delitem__(self, name: str) -> None:
        self.unpublish(name)

    def __contains__(self, name: object) -> bool:
        self._check_open()
        if not isinstance(name, str):
            return False
        try:
            encoded = encode_name(name)
        except ValueError:
            return False
        held, _, _ = self.member.hold_name(encoded, L.BY_PIN)
        if isinstance(held, Hold):
            release(held)
        return bool(held != L.NOT_FOUND)

    def __len__(self) -> int:
        self._check_open()
        return min(int(self.member.read_word(L.AREAS_COUNT)), self.geometry.areas_max)

    def __iter__(self) -> Iterator[str]:
        self._check_open()
        for area in look.records(self._made, L.TABLE_AREAS):
            found = self.member.read_area(area)
            if found is not None:
                yield decode_name(found[0])

    def __bool__(self) -> bool:
        return True  # an arena without names is still an arena

    def __reduce__(self) -> tuple[Any, ...]:
        address = self.address()
        return _reach, (
            address.arena_id,
            address.device,
            address.inode,
            address.path,
            address.candidates,
        )

    # --- settings ------------------------------------------------------------------------------

    @property
    def loans_limit(self) -> int:
        """How many handles may be on their way at once; a setting of the whole arena.

        At first as many as there is room for: one a frame, from 65,536 to 1,048,576. A lower limit
        saves memory, 32 bytes a handle that nobody reads.
        """
        return int(self.member.read_word(L.LOANS_LIMIT))

    @loans_limit.setter
    def loans_limit(self, count: int) -> None:
        most = self._made.geometry.loans_max - 1
        if not 0 < count <= most:
            raise ValueError(f"asked for a limit of {count:,} loans; 1 to {most:,} can be")
        self.member.set_word(L.LOANS_LIMIT, count)

    @property
    def transit_grace_s(self) -> int:
        """Seconds that a loan is kept for at least, and then outlives its sender at least.

        A setting of the whole arena.
        """
        return int(self.member.read_word(L.TRANSIT_GRACE_S))

    @transit_grace_s.setter
    def transit_grace_s(self, seconds: int) -> None:
        if not 0 <= seconds <= L.MASK_32:
            raise ValueError(f"asked for a grace of {seconds} s; 0 to {L.MASK_32:,} can be")
        self.member.set_word(L.TRANSIT_GRACE_S, seconds)


def _reach(
    arena_id: int, device: int, inode: int, path: str, candidates: tuple[tuple[int, int], ...]
) -> Arena:
    """Join an arena that was pickled."""
    return _reach_by(attach.Address(arena_id, device, inode, path, candidates))


def _reach_by(address: attach.Address) -> Arena:
    """Join an arena that was sent here, and remember that it was."""
    with ArenaBase._lock:
        known = address.arena_id in ArenaBase._joined
        found = Arena.reach(address)
        found.by_handle = found.by_handle or not known
        return found


def _value(arena: Arena, hold: Hold, description: bytes, writable: bool = True) -> Any:
    found = decode(description, arena.member.nr(hold) * arena.frame_bytes)
    if not writable:
        found = found._replace(read_only=True)
    return objects.get(arena, hold, found)


def _check_whole(value: Any) -> None:
    if isinstance(value, View) and (value.private or value.parts is not None):
        raise TypeError(
            "asked to send a view that is private, or of several objects; no one object has what "
            "it shows. Send its objects, or arena.array() of it"
        )


def handle(value: Any) -> Handle:
    """Return a handle of an array (or view) of an arena, a Scamem or a View; nothing is copied.

    Raises
    ------
    TypeError : the value's memory is private; `arena.put(value)` stores a copy.

    Ownership: the handle is one reference of its own.
    """
    if isinstance(value, SharedObject):
        value = value.scamem
    _check_whole(value)
    if isinstance(value, Handle):
        return Handle(value.arena, value.hold.another(L.BY_HAND), value.description)
    if isinstance(value, Scamem):
        return Handle(value.arena, value.hold.another(L.BY_HAND), RAW_DESCRIPTION)
    if isinstance(value, View):
        return Handle(value.hold.member.owner, value.hold.another(L.BY_HAND), RAW_DESCRIPTION)
    place = locate(value) if isinstance(value, np.ndarray) else None
    if place is None:
        raise TypeError(
            f"asked for a handle of a {type(value).__name__} in private memory, or in a view of "
            "several objects; put it into an arena first (scamem.array(x), or arena.put(x))"
        )
    return Handle(
        place.hold.member.owner, place.hold.another(L.BY_HAND), encode_array(value, place.offset)
    )


def from_handle(data: Handle | bytes | bytearray | memoryview, *, writable: bool = True) -> Any:
    """Return what a handle, or its bytes, stands for, joining its arena if need be.

    Parameters
    ----------
    writable : False for an array that cannot be written.

    Raises
    ------
    StaleHandleError : the object is gone.
    ArenaUnreachableError : the arena cannot be joined from here; names the ways out.
    ScamemError : these are not the bytes of a handle, or they were changed.

    Ownership: the result holds a reference; the loan in the bytes is taken if it is still there.
    """
    if isinstance(data, Handle):
        arena = cast("Arena", data.arena)  # every arena of a process is one
        return _value(arena, data.hold.another(L.BY_PIN), data.description, writable)
    wire = unpack(data)
    reached = Arena.of_handle(wire)
    hold = load_hold(reached.member, wire, BY_PIN)
    try:
        return _value(reached, hold, wire.description, writable)
    except BaseException:  # whatever it was: who can map it may still load it
        put_back(hold, wire)
        raise
