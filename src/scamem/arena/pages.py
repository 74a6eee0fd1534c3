"""From frames to everything: object, node, zone and section, for a number or an array of pfns.

The mail asks whether node, zone and section can be had from the pfn by a lookup: here the zones are
ranges of pfns, and a table of sections answers it. Whose a frame is says its memdesc.
"""

from __future__ import annotations

import operator
from array import array
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scamem.address_space import map as mapping
from scamem.backing import system
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.core.walk import USABLE
from scamem.errors import ClosedError, StaleHandleError

from . import changes
from .member import Hold, Member
from .objects import Scamem

if TYPE_CHECKING:
    from .attach import Attachment

ZONE_NAMES = ("NORMAL", "HUGE")
OBJECT_OF_PAGE = np.dtype([("object", np.uint64), ("generation", np.uint64)])


class Pages:
    """The kernel's lookups. Each takes a number, or an array of pfns of any shape.

    They answer for frames of any state: node, zone and section are those of free and offline
    frames too. Raises, all of them: IndexError for a frame that the arena does not have, TypeError
    for what is no whole number.
    """

    geometry: Geometry
    member: Member
    frame_bytes: int
    direct_address: int
    _made: Attachment

    _closed: bool

    if TYPE_CHECKING:  # the arena's own

        def hold_object(self, index: int, generation: int, by: int) -> Hold: ...

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this arena was closed; join or create one")

    def _make_tables(self) -> None:
        """Write down, once, the node and the kind of each section."""
        spans = self.geometry.spans
        lengths = [span.sections for span in spans]
        self._nodes = np.repeat(np.array([span.node for span in spans], np.int16), lengths)
        self._kinds = np.repeat(np.array([span.kind for span in spans], np.int8), lengths)

    @overload
    def page_to_nid(self, pfns: int, *, verify: bool = False) -> int: ...

    @overload
    def page_to_nid(self, pfns: ArrayLike, *, verify: bool = False) -> NDArray[np.int16]: ...

    def page_to_nid(
        self, pfns: int | ArrayLike, *, verify: bool = False
    ) -> int | NDArray[np.int16]:
        """Return the NUMA node of a frame, or of each of several (int16).

        Parameters
        ----------
        verify : ask the kernel where each frame really is now, instead of saying where policy put
            it; -2 (ENOENT) for a frame without memory. On an arena made for a described machine
            that is another number.
        """
        if not verify:
            if isinstance(pfns, int):
                return int(self._nodes[self._section_of(pfns)])
            nodes: NDArray[np.int16] = self._nodes[self.page_to_section(pfns)]
            return nodes
        self._check_open()
        numbers = self._numbers(pfns)
        found = self._real_nodes(np.ascontiguousarray(numbers).reshape(-1))
        return int(found[0]) if numbers.ndim == 0 else found.reshape(numbers.shape)

    @overload
    def page_to_section(self, pfns: int) -> int: ...

    @overload
    def page_to_section(self, pfns: ArrayLike) -> NDArray[np.int64]: ...

    def page_to_section(self, pfns: int | ArrayLike) -> int | NDArray[np.int64]:
        """Return the section of a frame, or of each of several (int64)."""
        if isinstance(pfns, int):
            return self._section_of(pfns)
        found: NDArray[np.int64] = self._numbers(pfns) >> self.geometry.section_shift
        return found

    @overload
    def page_zone(self, pfns: int) -> str: ...

    @overload
    def page_zone(self, pfns: ArrayLike) -> NDArray[np.str_]: ...

    def page_zone(self, pfns: int | ArrayLike) -> str | NDArray[np.str_]:
        """Return the zone of a frame, or of each of several: "NORMAL" or "HUGE"."""
        if isinstance(pfns, int):
            return ZONE_NAMES[self._kinds[self._section_of(pfns)]]
        kinds = self._kinds[self._numbers(pfns) >> self.geometry.section_shift]
        names: NDArray[np.str_] = np.array(ZONE_NAMES)[kinds]
        return names

    @overload
    def page_to_scamem(self, pfns: int) -> Scamem | None: ...

    @overload
    def page_to_scamem(self, pfns: ArrayLike) -> NDArray[np.object_]: ...

    def page_to_scamem(self, pfns: int | ArrayLike) -> Scamem | NDArray[np.object_] | None:
        """Return the object that a frame belongs to, None if it is free or has no memory.

        Of several frames: an array of objects and None, the same Scamem wherever the same object
        is; see `page_to_object` for numbers instead.

        Ownership: each Scamem is a reference of its own.
        """
        self._check_open()
        if not isinstance(pfns, int):
            return self._scamems_of(pfns)
        while True:
            index, generation = self.member.page_to_object(self._number(pfns))
            if index == 0:
                return None
            try:
                return Scamem(self, self.hold_object(index, generation, L.BY_HAND))
            except StaleHandleError:
                continue  # freed between the look and the hold: look again

    def page_to_object(self, pfns: ArrayLike) -> NDArray[np.void]:
        """Return the number and generation of the object of each frame: a look, nothing is held.

        Returns
        -------
        Structured array of `pfns`' shape, fields "object" and "generation" (uint64); 0 and 0 where
        a frame belongs to none.
        """
        self._check_open()
        numbers = self._numbers(pfns)
        flat = np.ascontiguousarray(numbers).reshape(-1)
        objects, generations = np.empty(flat.size, np.uint64), np.empty(flat.size, np.uint64)
        changes.objects_of(self.member, flat, objects, generations)
        found = np.empty(numbers.shape, OBJECT_OF_PAGE)
        found["object"] = objects.reshape(numbers.shape)
        found["generation"] = generations.reshape(numbers.shape)
        return found

    def _scamems_of(self, pfns: ArrayLike) -> NDArray[np.object_]:
        looked = self.page_to_object(pfns)
        numbers = np.ascontiguousarray(looked["object"]).reshape(-1)
        different, first, places = np.unique(numbers, return_index=True, return_inverse=True)
        generations = looked["generation"].reshape(-1)[first]
        objects: NDArray[np.object_] = np.empty(different.size, dtype=object)
        for k, (index, generation) in enumerate(
            zip(different.tolist(), generations.tolist(), strict=True)
        ):
            if index:
                try:
                    objects[k] = Scamem(self, self.hold_object(index, generation, L.BY_HAND))
                except StaleHandleError:
                    continue  # freed since the look: its frames were nobody's at some moment
        found: NDArray[np.object_] = objects[places.reshape(looked.shape)]
        return found

    def _number(self, pfn: int) -> int:
        if not 0 <= pfn < self.geometry.frames:
            raise IndexError(f"asked for frame {pfn:,}; the arena has {self.geometry.frames:,}")
        return pfn

    def _section_of(self, pfn: int) -> int:
        return self._number(operator.index(pfn)) >> self.geometry.section_shift

    def _numbers(self, pfns: ArrayLike) -> NDArray[np.int64]:
        found = np.asarray(pfns)
        if found.dtype.kind not in "iu":
            if found.size:
                raise TypeError(f"pfns are whole numbers, not {found.dtype}")
            return np.zeros(found.shape, np.int64)
        # Unsigned numbers beyond int64 turn negative, and are out of range either way.
        numbers: NDArray[np.int64] = (
            found.view(np.int64) if found.dtype == np.uint64 else found.astype(np.int64, copy=False)
        )
        most = self.geometry.frames
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < most):
            raise IndexError(
                f"asked for frames {found.min():,} to {found.max():,}; the arena has {most:,}"
            )
        return numbers

    def _real_nodes(self, numbers: NDArray[np.int64]) -> NDArray[np.int16]:
        """Ask the kernel; frames that have memory are mapped first, since it looks at mappings."""
        shift = self.geometry.section_shift
        words = np.array(
            changes.section_words(self.member, 0, self.geometry.sections), dtype=np.uint64
        )[numbers >> shift]
        block = (numbers & (1 << shift) - 1) >> self.geometry.block_shift
        absent = words >> np.uint64(L.SECTION_ABSENT_SHIFT) >> block.astype(np.uint64)
        usable = np.isin(words & np.uint64(L.MASK_8), np.array(USABLE, np.uint64))
        there = usable & (absent & np.uint64(1) == 0)
        for start, count in _runs(np.unique(numbers[there])):
            address = self.direct_address + start * self.frame_bytes
            mapping.populate(address, count * self.frame_bytes, write=False)
        found = np.full(numbers.shape, -2, np.int16)
        addresses = array("Q", (self.direct_address + numbers[there] * self.frame_bytes).tobytes())
        found[there] = np.frombuffer(system.nodes_of(addresses), np.int32)
        return found


def _runs(numbers: NDArray[Any]) -> list[tuple[int, int]]:
    """Return {first, count} of each run of sorted numbers that follow each other."""
    if not numbers.size:
        return []
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    return [(int(part[0]), part.size) for part in np.split(numbers, breaks)]
