"""Allocate objects: choose the zone, make room, and use as few runs as possible.

The policies are the kernel's: bind, preferred, interleave.
"""

from __future__ import annotations

from typing import TypedDict

from scamem.backing import numa, system
from scamem.backing.text import counted
from scamem.core.store import layout as L
from scamem.core.store.geometry import FRAME_BYTES
from scamem.errors import OutOfMemoryError, StaleHandleError
from scamem.looks.frames import section_words
from scamem.membership.member import Hold, release
from scamem.membership.seat import Seat

from . import moves, room

FAST_BYTES = 1 << 44  # larger than any arena, and its frames fit a word
BY_HAND = L.BY_HAND
INTERLEAVE = "interleave"
ZONE_NAMES = ("NORMAL", "HUGE")
Node = int | str | None


class Where(TypedDict, total=False):
    """The keywords that say where frames come from; see `Arena.alloc`."""

    node: Node
    zone: str | None


def allocate(
    seat: Seat, nbytes: int, by: int, *, node: Node = None, zone: str | None = None
) -> Hold:
    """Allocate an object and return a bare reference to it, of kind `by` (layout.BY_*)."""
    if seat.closed:
        seat.check_open()
    if nbytes < 0:
        raise ValueError(f"asked for {nbytes} bytes; a size is 0 or more")
    frames = -(-nbytes // FRAME_BYTES) or 1
    if node is None and zone is None and nbytes <= FAST_BYTES:
        held = seat.member.alloc_fast(frames, by)
        if held.__class__ is Hold:
            return held
    zones = _candidates(seat, node, zone)
    node = seat.default_node if node is None else node
    if node == INTERLEAVE and len(zones) > 1 and frames >= L.HUGE_FRAMES * len(zones):
        return _allocate_parts(seat, frames, by, zones, -(-frames // len(zones)))
    return _allocate_where(seat, frames, by, zones)


def _candidates(seat: Seat, node: Node, zone: str | None) -> list[int]:
    """Return the zones to try, best first; ValueError for an unknown node or zone."""
    node = seat.default_node if node is None else node
    name = zone or seat.default_zone or "NORMAL"
    if name not in ZONE_NAMES:
        raise ValueError(f"asked for zone {name!r}; there are {', '.join(ZONE_NAMES)}")
    kind = ZONE_NAMES.index(name)
    spans = enumerate(seat.geometry.spans)
    found = {span.node: number for number, span in spans if span.kind == kind}
    if not found:
        raise OutOfMemoryError(
            "asked for zone 'HUGE'; this arena has no huge pages. Reserve some as root, and "
            "then create the arena: sysctl vm.nr_hugepages=64 (that is 128 MiB), "
            "Arena.create(huge=128 << 20); or use zone 'NORMAL'",
            limit="nr_hugepages",
        )
    if node is None:
        return _nearest(found)
    if node == INTERLEAVE:
        order = list(found.values())
        turn = next(seat.interleaved) % len(order)
        return order[turn:] + order[:turn]
    if node not in found:
        known = ", ".join(map(str, found))
        raise ValueError(
            f"asked for node {node!r}, zone {name!r}; its nodes are {known} and {INTERLEAVE!r}"
        )
    return [found[int(node)]]


def _nearest(found: dict[int, int]) -> list[int]:
    if len(found) == 1:
        return list(found.values())
    own = system.current_node()
    far = numa.distances(own)
    return [found[k] for k in sorted(found, key=lambda k: (k != own, far.get(k, 1 << 16), k))]


def _allocate_where(seat: Seat, frames: int, by: int, zones: list[int]) -> Hold:
    """Allocate in the first zone that has room."""
    size = seat.geometry
    if size.spans[zones[0]].kind == L.KIND_HUGE:
        frames = -(-frames // L.HUGE_FRAMES) * L.HUGE_FRAMES
    room_of = [size.spans[zone].sections << size.section_shift for zone in zones]
    if max(room_of) < frames <= sum(room_of):
        return _allocate_parts(seat, frames, by, zones, frames)
    if frames > max(room_of):
        asked = f"asked for {counted(frames, 'frame')} ({frames * seat.frame_bytes:,} bytes)"
        most = f"capacity is {counted(sum(room_of), 'frame')}"
        if len(zones) > 1:
            most += f", on one node {max(room_of):,}"
        raise OutOfMemoryError(
            f"{asked}; the arena's {most}. Create an arena of larger capacity",
            asked_bytes=frames * seat.frame_bytes,
            free_bytes=sum(room.free_frames(seat, zone) for zone in zones) * seat.frame_bytes,
            limit="capacity of the arena",
        )
    first: OutOfMemoryError | None = None
    for zone, most_frames in zip(zones, room_of, strict=True):
        if frames <= most_frames:
            try:
                return _allocate_in(seat, frames, by, zone)
            except OutOfMemoryError as error:
                first = first or error
    raise first or AssertionError


def _allocate_parts(seat: Seat, frames: int, by: int, zones: list[int], most: int) -> Hold:
    """Allocate an object in parts, one per zone, of at most `most` frames; splice them."""
    size = seat.geometry
    unit = L.HUGE_FRAMES if size.spans[zones[0]].kind == L.KIND_HUGE else 1
    left = -(-frames // unit) * unit
    most = -(-most // unit) * unit
    made: Hold | None = None
    try:
        for place, zone in enumerate(zones):
            part = min(left, most, size.spans[zone].sections << size.section_shift)
            if most == left and place < len(zones) - 1:
                part = min(part, _reachable(seat, zone))
            if part == 0:
                continue
            # a part to be spliced is held once, by hand; the whole object as was asked for
            held = _allocate_in(seat, part, by if made is None else BY_HAND, zone)
            left -= part
            if made is None:
                made = held
                continue
            try:
                status = moves.splice(seat.member, made, held, 0)
            finally:
                release(held)  # does nothing if its frames have moved
            if status != L.OK:
                raise seat.member.error_of(status)
        if left or made is None:
            raise OutOfMemoryError(
                f"asked for {counted(frames, 'frame')}; all nodes together have {frames - left:,}. "
                "Drop objects (scamem ls), or create an arena of larger capacity",
                asked_bytes=frames * seat.frame_bytes,
                limit="capacity of the arena",
            )
    except BaseException:
        if made is not None:
            release(made)
        raise
    return made


def _reachable(seat: Seat, zone: int) -> int:
    """Return how many frames of a zone are free, or can come online."""
    size = seat.geometry
    first = size.first_section(zone)
    words = section_words(seat.member, first, size.spans[zone].sections)
    offline = sum(
        word & L.MASK_8 == L.SECTION_STATE_OFFLINE and not word & L.SECTION_KEPT for word in words
    )
    absent = sum((word >> L.SECTION_ABSENT_SHIFT & L.MASK_16).bit_count() for word in words)
    found = (offline << size.section_shift) + (absent << size.block_shift)
    return found + room.free_frames(seat, zone)


def _allocate_in(seat: Seat, frames: int, by: int, zone: int) -> Hold:
    """Allocate in one zone, in one run or several, making room if necessary."""
    while True:
        held: Hold | int = seat.member.alloc_one_run(frames, zone, by)
        if isinstance(held, Hold):
            return held
        if held == L.NO_RUN:
            held = seat.member.reserve(frames, zone, by)
        if isinstance(held, Hold):
            return _fill(seat, held)
        room.make_room(seat, held, frames, zone)


def allocate_near(seat: Seat, frames: int, zone: int) -> Hold:
    """Allocate in a zone, or in others of its kind; return a bare reference in hand."""
    kind = seat.geometry.spans[zone].kind
    zones = [k for k, span in enumerate(seat.geometry.spans) if span.kind == kind]
    return _allocate_where(seat, frames, BY_HAND, sorted(zones, key=lambda k: (k != zone, k)))


def reserve_nothing(seat: Seat) -> Hold:
    """Return a reference to a new object without frames, still ALLOCATING."""
    while True:
        held = seat.member.reserve(0, L.ZONE_NORMAL, BY_HAND)
        if isinstance(held, Hold):
            return held
        room.make_room(seat, held)


def _fill(seat: Seat, held: Hold) -> Hold:
    """Give a reserved object its runs. On failure it is released, with its runs."""
    try:
        status = L.MORE
        while status != L.OK:
            status = seat.member.take_run(held)
            if status not in (L.OK, L.MORE):
                room.make_room(seat, status)
        if seat.member.init_on_alloc:
            room.clear_frames(seat, seat.member.runs(held))
        seat.member.finish(held)
        return held
    except BaseException:
        release(held)
        raise


def hold_object(seat: Seat, index: int, generation: int, by: int) -> Hold:
    """Take a reference to an object by its numbers; StaleHandleError if it was freed."""
    seat.check_open()
    while True:
        held = seat.member.hold_first(index, generation, by)
        if isinstance(held, Hold):
            return held
        if held == L.STALE:
            raise StaleHandleError(
                f"object {index} (generation {generation}) of this arena was freed: its last "
                "reference was dropped. Keep a reference, or publish it under a name"
            )
        room.make_room(seat, held)
