"""Look up a frame's object, node, zone and section, for one pfn or an array of them.

The linux-mm mail asks whether node, zone and section can be found from the pfn. Here they can:
zones are ranges of pfns, and sections have a table. The memdesc says which object has the frame.
Users call these as methods of Arena.
"""

from __future__ import annotations

import operator
from array import array
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scamem.address_space import map as mapping
from scamem.backing import system
from scamem.core.store import layout as L
from scamem.core.store.geometry import Span
from scamem.core.walk import USABLE
from scamem.errors import StaleHandleError
from scamem.looks.frames import objects_of, section_words
from scamem.membership.seat import Seat, Seated
from scamem.memory.allocation import ZONE_NAMES, hold_object

from .scamem import Scamem

OBJECT_OF_PAGE = np.dtype([("object", np.uint64), ("generation", np.uint64)])


def _of_sections(seat: Seat) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
    """Return the node and the kind of each section; the first call computes them."""
    found: tuple[NDArray[np.int16], NDArray[np.int8]] | None = seat.section_places
    if found is None:
        found = seat.section_places = _places(seat.geometry.spans)
    return found


def _places(spans: tuple[Span, ...]) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
    lengths = [span.sections for span in spans]
    nodes = np.repeat(np.array([span.node for span in spans], np.int16), lengths)
    kinds = np.repeat(np.array([span.kind for span in spans], np.int8), lengths)
    return nodes, kinds


# Each lookup takes one pfn or an array of any shape, and works for frames in any state: free and
# offline frames have a node, zone and section too. All of them raise IndexError for a frame that
# the arena does not have, and TypeError for something other than a whole number.


@overload
def page_to_nid(arena: Seated, pfns: int, *, verify: bool = False) -> int: ...
@overload
def page_to_nid(arena: Seated, pfns: ArrayLike, *, verify: bool = False) -> NDArray[np.int16]: ...
def page_to_nid(arena: Seated, pfns: Any, *, verify: bool = False) -> Any:
    """Return the NUMA node of a frame, or of each of several (int16).

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> obj = arena.alloc("8K")
    >>> arena.page_to_nid(obj.pages).tolist()
    [0, 0]

    Parameters
    ----------
    pfns : a frame number, or an array of them of any shape.
    verify : ask the kernel where each frame is now, instead of where the policy put it; -2 (ENOENT)
        for a frame without memory. An arena that was created for a described machine gives other
        numbers.
    """
    seat = arena._seat
    if not verify:
        nodes = _of_sections(seat)[0]
        if isinstance(pfns, int):
            return int(nodes[_number(seat, pfns) >> seat.geometry.section_shift])
        return nodes[_sections_of(seat, pfns)]
    seat.check_open()
    numbers = _numbers(seat, pfns)
    real = _real_nodes(seat, np.ascontiguousarray(numbers).reshape(-1))
    return int(real[0]) if numbers.ndim == 0 else real.reshape(numbers.shape)


@overload
def page_to_section(arena: Seated, pfns: int) -> int: ...
@overload
def page_to_section(arena: Seated, pfns: ArrayLike) -> NDArray[np.int64]: ...
def page_to_section(arena: Seated, pfns: Any) -> Any:
    """Return the section of a frame, or of each of several (int64).

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> obj = arena.alloc("8K")
    >>> arena.page_to_section(obj.pages).tolist()
    [0, 0]
    """
    return _sections_of(arena._seat, pfns)


@overload
def page_zone(arena: Seated, pfns: int) -> str: ...
@overload
def page_zone(arena: Seated, pfns: ArrayLike) -> NDArray[np.str_]: ...
def page_zone(arena: Seated, pfns: Any) -> Any:
    """Return the zone of a frame, or of each of several: "NORMAL" or "HUGE".

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> obj = arena.alloc("4K")
    >>> arena.page_zone(int(obj.pages[0]))
    'NORMAL'
    """
    seat = arena._seat
    kinds = _of_sections(seat)[1]
    if isinstance(pfns, int):
        return ZONE_NAMES[kinds[_number(seat, pfns) >> seat.geometry.section_shift]]
    return np.array(ZONE_NAMES)[kinds[_sections_of(seat, pfns)]]


@overload
def page_to_scamem(arena: Seated, pfns: int) -> Scamem | None: ...
@overload
def page_to_scamem(arena: Seated, pfns: ArrayLike) -> NDArray[np.object_]: ...
def page_to_scamem(arena: Seated, pfns: Any) -> Any:
    """Return the object that a frame belongs to; None if the frame is free or has no memory.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> obj = arena.alloc("4K")
    >>> arena.page_to_scamem(int(obj.pages[0])).index == obj.index
    True

    For several frames: an array of objects and None, with one Scamem per object. See
    `page_to_object` for numbers instead of references.

    Ownership: each Scamem holds its own reference.
    """
    seat = arena._seat
    seat.check_open()
    if not isinstance(pfns, int):
        return _scamems_of(seat, page_to_object(arena, pfns))
    while True:
        index, generation = seat.member.page_to_object(_number(seat, pfns))
        if index == 0:
            return None
        try:
            return Scamem(seat, hold_object(seat, index, generation, L.BY_HAND))
        except StaleHandleError:
            continue  # freed between the look and the hold: look again


def page_to_object(arena: Seated, pfns: ArrayLike) -> NDArray[np.void]:
    """Return the number and generation of each frame's object, without taking a reference.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> obj = arena.alloc("8K")
    >>> (arena.page_to_object(obj.pages)["object"] == obj.index).tolist()
    [True, True]

    Returns
    -------
    Structured array of the shape of `pfns`, with fields "object" and "generation" (uint64); both
    are 0 where a frame belongs to no object.
    """
    seat = arena._seat
    seat.check_open()
    numbers = _numbers(seat, pfns)
    flat = np.ascontiguousarray(numbers).reshape(-1)
    objects, generations = np.empty(flat.size, np.uint64), np.empty(flat.size, np.uint64)
    objects_of(seat.member, flat, objects, generations)
    found = np.empty(numbers.shape, OBJECT_OF_PAGE)
    found["object"] = objects.reshape(numbers.shape)
    found["generation"] = generations.reshape(numbers.shape)
    return found


def _scamems_of(seat: Seat, looked: NDArray[np.void]) -> NDArray[np.object_]:
    numbers = np.ascontiguousarray(looked["object"]).reshape(-1)
    different, first, places = np.unique(numbers, return_index=True, return_inverse=True)
    generations = looked["generation"].reshape(-1)[first]
    objects: NDArray[np.object_] = np.empty(different.size, dtype=object)
    for k, (index, generation) in enumerate(
        zip(different.tolist(), generations.tolist(), strict=True)
    ):
        if index:
            try:
                objects[k] = Scamem(seat, hold_object(seat, index, generation, L.BY_HAND))
            except StaleHandleError:
                continue  # freed since the look, so its frames were free at some moment
    found: NDArray[np.object_] = objects[places.reshape(looked.shape)]
    return found


def _number(seat: Seat, pfn: int) -> int:
    if not 0 <= pfn < seat.geometry.frames:
        raise IndexError(f"asked for frame {pfn:,}; the arena has {seat.geometry.frames:,}")
    return pfn


def _sections_of(seat: Seat, pfns: Any) -> Any:
    if isinstance(pfns, int):
        return _number(seat, operator.index(pfns)) >> seat.geometry.section_shift
    return _numbers(seat, pfns) >> seat.geometry.section_shift


def _numbers(seat: Seat, pfns: ArrayLike) -> NDArray[np.int64]:
    found = np.asarray(pfns)
    if found.dtype.kind not in "iu":
        if found.size:
            raise TypeError(f"pfns are whole numbers, not {found.dtype}")
        return np.zeros(found.shape, np.int64)
    # Unsigned numbers beyond int64 turn negative, and are out of range either way.
    numbers: NDArray[np.int64] = (
        found.view(np.int64) if found.dtype == np.uint64 else found.astype(np.int64, copy=False)
    )
    most = seat.geometry.frames
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < most):
        raise IndexError(
            f"asked for frames {found.min():,} to {found.max():,}; the arena has {most:,}"
        )
    return numbers


def _real_nodes(seat: Seat, numbers: NDArray[np.int64]) -> NDArray[np.int16]:
    """Ask the kernel. It looks at mappings, so frames with memory are mapped first."""
    shift = seat.geometry.section_shift
    words = np.array(section_words(seat.member, 0, seat.geometry.sections), dtype=np.uint64)[
        numbers >> shift
    ]
    block = (numbers & (1 << shift) - 1) >> seat.geometry.block_shift
    absent = words >> np.uint64(L.SECTION_ABSENT_SHIFT) >> block.astype(np.uint64)
    usable = np.isin(words & np.uint64(L.MASK_8), np.array(USABLE, np.uint64))
    there = usable & (absent & np.uint64(1) == 0)
    for start, count in _runs(np.unique(numbers[there])):
        address = seat.direct.address + start * seat.frame_bytes
        mapping.populate(address, count * seat.frame_bytes, write=False)
    found = np.full(numbers.shape, -2, np.int16)
    addresses = array("Q", (seat.direct.address + numbers[there] * seat.frame_bytes).tobytes())
    found[there] = np.frombuffer(system.nodes_of(addresses), np.int32)
    return found


def _runs(numbers: NDArray[Any]) -> list[tuple[int, int]]:
    """Return (first, count) of each run of consecutive numbers in a sorted array."""
    if not numbers.size:
        return []
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    return [(int(part[0]), part.size) for part in np.split(numbers, breaks)]
