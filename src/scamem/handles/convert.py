"""Turn values into handles, and handles into values, joining a handle's arena if necessary."""

from __future__ import annotations

from typing import Any

from cython.cimports.numpy import ndarray
from cython.cimports.scamem.arrays.place import Place, locate
from cython.cimports.scamem.handles.handle import new_handle
from cython.cimports.scamem.membership.member import Member

from scamem.core.store import layout as L
from scamem.membership import joined
from scamem.membership.seat import Seat
from scamem.objects.scamem import Scamem
from scamem.views.view import View

from .description import RAW, Description, encode, encode_array
from .handle import Handle, Wire, load_hold, put_back, unpack, unpack_prefix
from .modes import checked_mode
from .openers import own_handle
from .unloaded import or_unloaded
from .values import value_of

RAW_DESCRIPTION = encode(Description(RAW, 0, (), None, None, False))


def of_wire(wire: Wire) -> Seat:
    """Return the seat of the arena that a handle comes from, joining it if necessary."""
    found = joined.known(wire.arena_id)
    if found is None:
        found = joined.reach(unpack_prefix(wire.data[: wire.prefix_bytes]))
    return found


def scamem_of(value: Any) -> Any:
    """Return the Scamem of a shared object (ring, growable array), or the handle of a frozen value.

    Any other value is returned as it is.
    """
    made = own_handle(value)
    if made is not None:
        return made
    found = getattr(value, "scamem", None)
    return found if isinstance(found, Scamem) else value


def check_whole(value: Any) -> None:
    """Raise TypeError for a view that does not show one shared object."""
    if isinstance(value, View) and (value.private or value.parts is not None):
        raise TypeError(
            "asked to send a view that is private, or of several objects; it is not the memory of "
            "one object. Send its objects, or arena.array() of it"
        )


def handle(value: Any) -> Handle:
    """Return a handle of an Array (or a view of one), a Scamem or a View. Nothing is copied.

    >>> x = scamem.array([1.0, 2.0, 3.0])
    >>> data = bytes(scamem.handle(x))    # send these bytes to another process
    >>> y = scamem.from_handle(data)      # there: the same memory
    >>> y[0] = 10
    >>> x.tolist()
    [10.0, 2.0, 3.0]

    Raises
    ------
    TypeError : the value's memory is private, or the value is a view of several objects;
        `arena.put(value)` stores a copy.
    ClosedError : the value was closed.

    Ownership: the handle holds its own reference. Threads: any. fork: see Handle.
    """
    if isinstance(value, ndarray):
        return handle_of_array(value)
    value = scamem_of(value)
    check_whole(value)
    if isinstance(value, Handle):
        return Handle(value.seat, value.hold.another(L.BY_HAND), value.description)
    if isinstance(value, Scamem):
        return Handle(value.seat, value.hold.another(L.BY_HAND), RAW_DESCRIPTION)
    if isinstance(value, View):
        return Handle(value.hold.member.seat, value.hold.another(L.BY_HAND), RAW_DESCRIPTION)
    raise _in_private_memory(value)


def handle_of_array(array: Any) -> Handle:
    """Return a handle of an array, as `handle`."""
    place: Place = locate(array)
    member: Member
    if place is None:
        raise _in_private_memory(array)
    member = place.hold.member
    description: bytes = encode_array(array, place.offset)
    made: Handle = new_handle(member.seat, member.hold_again(place.hold, L.BY_HAND), description)
    return made


def _in_private_memory(value: Any) -> TypeError:
    return TypeError(
        f"asked for a handle of a {type(value).__name__} in private memory, or in a view of "
        "several objects; put it into an arena first (scamem.array(x), or arena.put(x))"
    )


def from_handle(
    data: Handle | bytes | bytearray | memoryview,
    *,
    writable: bool = True,
    mode: str | None = None,
) -> Any:
    """Return the value that a handle, or its bytes, refers to; join its arena if necessary.

    >>> handle = scamem.handle(scamem.zeros(3))
    >>> scamem.from_handle(handle, mode="r").flags.writeable
    False

    Parameters
    ----------
    writable : False: the same as mode="r".
    mode : "r", "w" or "c", as of `Arena.get`.

    Raises
    ------
    StaleHandleError : the object was freed.
    ArenaUnreachableError : this process cannot join the arena; the message lists the ways out.
    ScamemError : these are not the bytes of a handle, or they were changed.
    ValueError : as of `Arena.get`.

    Ownership: the result holds its own reference. The first load takes over the loan in the bytes.
    """
    how = checked_mode(mode, writable)
    if isinstance(data, Handle):
        return value_of(data.seat, data.hold.another(L.BY_PIN), data.description, how)
    wire = unpack(data)
    seat = of_wire(wire)
    hold = load_hold(seat.member, wire, L.BY_PIN)
    try:
        return value_of(seat, hold, wire.description, how)
    except BaseException:  # on any error: a process that can map it may still load it
        put_back(hold, wire)
        raise


@or_unloaded
def load_handle(data: object) -> Handle:
    """Return a Handle from its bytes, joining its arena if necessary.

    Raises
    ------
    ArenaUnreachableError, StaleHandleError, ScamemError : as `from_handle`.

    Ownership: the new Handle is a reference. The first load takes over the loan in the bytes.
    """
    wire = unpack(data)
    seat = of_wire(wire)
    return Handle(seat, load_hold(seat.member, wire, L.BY_HAND), wire.description)


def set_loans_limit(seat: Seat, count: int) -> None:
    """Set how many handles can be sent and not loaded at one time, for all members."""
    most = seat.geometry.loans_max - 1
    if not 0 < count <= most:
        raise ValueError(f"asked for a limit of {count:,} loans; 1 to {most:,} are possible")
    seat.member.set_word(L.LOANS_LIMIT, count)


def set_transit_grace(seat: Seat, seconds: int) -> None:
    """Set for how many seconds a loan is kept after its sender lets go, for all members."""
    if not 0 <= seconds <= L.MASK_32:
        raise ValueError(f"asked for a grace of {seconds} s; 0 to {L.MASK_32:,} s are possible")
    seat.member.set_word(L.TRANSIT_GRACE_S, seconds)
