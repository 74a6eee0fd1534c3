"""The arenas that this process has joined, with one seat each, and how it joins them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from scamem import log
from scamem.address_space import map as mapping
from scamem.backing import head_room, naming, numa, places
from scamem.backing.text import Size, bytes_of
from scamem.core.store import header
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.errors import ArenaExistsError, ArenaNotFoundError, ScamemError

from . import files
from .attach import attach
from .files import Address
from .seat import Seat

if TYPE_CHECKING:
    from scamem.backing.nodes import Machine

CAPACITY_MAX = 1 << 40
ID_BYTES = 16
lock = threading.RLock()  # held to join, create or close
_seats: dict[bytes, Seat] = {}  # by arena id; includes closed ones in which something is held


def seats() -> list[Seat]:
    """Return the seats of all arenas that were joined and not closed."""
    return [seat for seat in list(_seats.values()) if seat.is_usable()]


def known(arena_id: bytes) -> Seat | None:
    """Return the seat of an arena that this process has joined already, None if it has not.

    An arena that was closed while something in it is held is reopened: a process is a member once.
    """
    found = _seats.get(arena_id)
    if found is None or found.is_usable():
        return found
    with lock:
        if found.closed and found.member.is_active() and found.reopen():
            return found
    return None


def _add(seat: Seat) -> Seat:
    _seats[seat.id_bytes] = seat
    log.debug("joined arena %s", seat.path or seat.id_bytes.hex())
    return seat


def leave_abandoned() -> None:
    """Leave arenas that were joined for a handle, where nothing is held and no other member lives.

    Called before another arena is joined, so a server keeps nothing of clients that have ended.
    Also forgets arenas that were left with the last reference to them.
    """
    for key, seat in list(_seats.items()):
        try:
            gone = seat.close() if seat.closed or seat.is_abandoned() else False
        except ScamemError:
            continue  # its lock is held by a stopped process, or it is damaged
        if gone or not (seat.closed or seat.member.is_active()):
            _seats.pop(key, None)


def create(
    name: object,
    capacity: Size | None,
    huge: Size | None = None,
    machine: Machine | None = None,
    slots: int = L.SLOTS_DEFAULT,
    init_on_alloc: bool = False,
) -> Seat:
    """Create an arena and join it; see Arena.create."""
    text = naming.as_text(name) if name is not None else ""
    huge_bytes = None if huge is None else bytes_of(huge)
    wanted = head_room.default_capacity_bytes() if capacity is None else bytes_of(capacity)
    if not 0 < wanted <= CAPACITY_MAX:
        raise ValueError(f"asked for a capacity of {wanted:,} bytes; 1 byte to 1 TiB are possible")
    if machine is None:
        sizes = numa.divided(wanted, 0 if text and huge is None else huge_bytes)
    elif capacity is not None or huge is not None:
        raise ValueError(
            "asked for machine= together with capacity= or huge=; the nodes of the machine already "
            "give the sizes"
        )
    else:
        sizes = [(node.normal_bytes, node.huge_bytes) for node in machine.nodes]
    zones = [
        (number, kind, nbytes)
        for number, node in enumerate(sizes)
        for kind, nbytes in enumerate(node)
        if nbytes
    ]
    if len(zones) > L.ZONES_MAX:
        raise ValueError(f"asked for {len(zones)} zones; at most {L.ZONES_MAX} are possible")
    settings = L.SETTING_INIT_ON_ALLOC if init_on_alloc else 0
    return make(Geometry.for_zones(zones, slots_max=slots), text, files.CONTROL_LABEL, settings)


def make(size: Geometry, name: str, label: str, settings: int = 0) -> Seat:
    """Create an arena with a geometry and join it; `label` names its control file."""
    with lock:
        leave_abandoned()
        made = files.new_files(size, name, label, settings)
        try:
            return _add(attach(made))
        except BaseException:
            if name:
                places.remove(name)  # leave nothing half done: its creator could not map it
            raise


def join_or_create(name: object, capacity: Size | None) -> Seat:
    """Join a named arena, or create it if it does not exist; see Arena.open."""
    while True:  # bound: repeats only if another process just created or removed it
        try:
            return join(name)
        except ArenaNotFoundError:
            try:
                return create(name, capacity)
            except ArenaExistsError:
                continue  # another process was faster: join its arena


def join(name: object) -> Seat:
    """Join a named arena; see Arena.join."""
    with lock:
        found = files.open_named(naming.as_text(name))
        arena_id = header.arena_id(files.read_header(found.control))
        seat = known(arena_id.to_bytes(ID_BYTES, "little"))
        if seat is None:
            leave_abandoned()
            return _add(attach(found))
        found.close()
        return seat


def reach(address: Address) -> Seat:
    """Join the arena that a handle comes from, in the ways of `files.reach` and in their order.

    Raises
    ------
    ArenaUnreachableError : none of them worked; says what was tried, and what the user can do.
    """
    with lock:
        found = known(address.arena_id.to_bytes(ID_BYTES, "little"))
        if found is None:
            leave_abandoned()
            found = _add(attach(files.reach(address)))
            found.by_handle = True
        return found


def close(seat: Seat) -> None:
    """Close an arena in this process; see Arena.close. A second call does nothing."""
    with lock:
        if not seat.closed and seat.close():
            _seats.pop(seat.id_bytes, None)
            log.debug("left arena %s", seat.path or seat.id_bytes.hex())


def _after_fork_in_child() -> None:
    """Renew this process's Python state. The core's fork handlers have run already."""
    global lock
    lock = threading.RLock()
    for seat in _seats.values():
        seat.after_fork_in_child()
    mapping.budget.after_fork_in_child()
    if any(not seat.closed and not seat.member.is_active() for seat in _seats.values()):
        message = (
            "scamem: no member slot or record was free for this forked process; arrays that it "
            "inherited will fault if touched. Use the spawn start method, or more slots\n"
        )
        os.write(2, message.encode())


os.register_at_fork(after_in_child=_after_fork_in_child)
