"""Allocating objects: from which zone, after making room, in as few runs as there are."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from scamem.backing import nodes, system
from scamem.backing.text import Size, bytes_of
from scamem.core.store import layout as L
from scamem.core.store.geometry import FRAME_BYTES
from scamem.errors import OutOfMemoryError, ScamemError

from . import changes, moves, room
from .member import Hold, release
from .objects import Scamem
from .pages import ZONE_NAMES, Pages

if TYPE_CHECKING:
    from .attach import Attachment

FAST_BYTES = 1 << 44  # larger than any arena, and its frames fit a word
BY_HAND = L.BY_HAND
INTERLEAVE = "interleave"
Node = int | str | None


class Allocation(Pages):
    """What allocates, of an arena. Its policies are the kernel's: bind, preferred, interleave."""

    _made: Attachment
    _closed: bool

    def _set_policies(self) -> None:
        """Read the default of this process from its environment."""
        node = os.environ.get("SCAMEM_NODE") or None
        self._default_node: Node = int(node) if node and node.isdecimal() else node
        self._default_zone = os.environ.get("SCAMEM_ZONE") or None
        self._turns = itertools.count()
        self.member.fast_zone = L.STATUS
        plain = self._default_node is None and self._default_zone in (None, "NORMAL")
        normal = [span for span in self.geometry.spans if span.kind == L.KIND_NORMAL]
        if plain and len(normal) == 1:
            self.member.fast_zone = L.ZONE_NORMAL  # no choice to be made
        self._alloc_fast = self.member.alloc_fast

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
        if node is None and zone is None and 0 < nbytes <= FAST_BYTES and not self._closed:
            held = self._alloc_fast((nbytes + FRAME_BYTES - 1) // FRAME_BYTES, BY_HAND)
            if held.__class__ is Hold:
                return Scamem(self, held)
        return Scamem(self, self.alloc_hold(nbytes, BY_HAND, node=node, zone=zone))

    def alloc_hold(
        self, nbytes: int, by: int, *, node: Node = None, zone: str | None = None
    ) -> Hold:
        """Allocate an object and return the bare reference to it, of a kind (layout.BY_*)."""
        if self._closed:
            self._check_open()
        if nbytes < 0:
            raise ValueError(f"asked for {nbytes} bytes; a size is not negative")
        frames = -(-nbytes // FRAME_BYTES) or 1
        if node is None and zone is None and nbytes <= FAST_BYTES:
            held = self._alloc_fast(frames, by)
            if held.__class__ is Hold:
                return held
        zones = self._candidates(node, zone)
        node = self._default_node if node is None else node
        if node == INTERLEAVE and len(zones) > 1 and frames >= L.HUGE_FRAMES * len(zones):
            return self._alloc_parts(frames, by, zones, -(-frames // len(zones)))
        return self._alloc_where(frames, by, zones)

    def _candidates(self, node: Node, zone: str | None) -> list[int]:
        """Return the zones to try, best first; ValueError for a node or zone that is not here."""
        node = self._default_node if node is None else node
        name = zone or self._default_zone or "NORMAL"
        if name not in ZONE_NAMES:
            raise ValueError(f"asked for zone {name!r}; there are {', '.join(ZONE_NAMES)}")
        kind = ZONE_NAMES.index(name)
        spans = enumerate(self.geometry.spans)
        found = {span.node: number for number, span in spans if span.kind == kind}
        if not found:
            raise OutOfMemoryError(
                "asked for zone 'HUGE'; this arena has no huge pages. Reserve some, as root, and "
                "then make the arena: sysctl vm.nr_hugepages=64 (that is 128 MiB), "
                "Arena.create(huge=128 << 20); or use zone 'NORMAL'",
                limit="nr_hugepages",
            )
        if node is None:
            return self._nearest(found)
        if node == INTERLEAVE:
            order = list(found.values())
            turn = next(self._turns) % len(order)
            return order[turn:] + order[:turn]
        if node not in found:
            known = ", ".join(map(str, found))
            raise ValueError(
                f"asked for node {node!r}, zone {name!r}; its nodes are {known} and {INTERLEAVE!r}"
            )
        return [found[int(node)]]

    @staticmethod
    def _nearest(found: dict[int, int]) -> list[int]:
        if len(found) == 1:
            return list(found.values())
        own = system.current_node()
        far = nodes.distances(own)
        return [found[k] for k in sorted(found, key=lambda k: (k != own, far.get(k, 1 << 16), k))]

    def _alloc_where(self, frames: int, by: int, zones: list[int]) -> Hold:
        """Allocate in the first of the zones that has room."""
        size = self.geometry
        if size.spans[zones[0]].kind == L.KIND_HUGE:
            frames = -(-frames // L.HUGE_FRAMES) * L.HUGE_FRAMES
        room_of = [size.spans[zone].sections << size.section_shift for zone in zones]
        if max(room_of) < frames <= sum(room_of):
            return self._alloc_parts(frames, by, zones, frames)
        if frames > max(room_of):
            asked = f"asked for {frames:,} frames ({frames * self.frame_bytes:,} bytes)"
            most = f"capacity is {sum(room_of):,} frames"
            if len(zones) > 1:
                most += f", on one node {max(room_of):,}"
            raise OutOfMemoryError(
                f"{asked}; the arena's {most}. Create one of larger capacity",
                asked_bytes=frames * self.frame_bytes,
                free_bytes=sum(room.free_frames(self._made, zone) for zone in zones)
                * self.frame_bytes,
                limit="capacity of the arena",
            )
        first: OutOfMemoryError | None = None
        for zone, most_frames in zip(zones, room_of, strict=True):
            if frames <= most_frames:
                try:
                    return self._alloc_in(frames, by, zone)
                except OutOfMemoryError as error:
                    first = first or error
        raise first or AssertionError

    def _alloc_parts(self, frames: int, by: int, zones: list[int], most: int) -> Hold:
        """Allocate an object of parts, one a zone of at most `most` frames, and splice them."""
        size = self.geometry
        unit = L.HUGE_FRAMES if size.spans[zones[0]].kind == L.KIND_HUGE else 1
        left = -(-frames // unit) * unit
        most = -(-most // unit) * unit
        made: Hold | None = None
        try:
            for place, zone in enumerate(zones):
                part = min(left, most, size.spans[zone].sections << size.section_shift)
                if most == left and place < len(zones) - 1:
                    part = min(part, self._reachable(zone))
                if part == 0:
                    continue
                # what is spliced is held once, by hand; the whole as it was asked for
                held = self._alloc_in(part, by if made is None else BY_HAND, zone)
                left -= part
                if made is None:
                    made = held
                    continue
                try:
                    status = moves.splice(self.member, made, held, 0)
                finally:
                    release(held)  # nothing, once its frames have moved
                if status != L.OK:
                    raise self.error_of(status)
            if left or made is None:
                raise OutOfMemoryError(
                    f"asked for {frames:,} frames; all nodes together have {frames - left:,}. Drop "
                    "objects (scamem ls), or create an arena of larger capacity",
                    asked_bytes=frames * self.frame_bytes,
                    limit="capacity of the arena",
                )
        except BaseException:
            if made is not None:
                release(made)
            raise
        return made

    def _reachable(self, zone: int) -> int:
        """Return how many frames of a zone are free, or can come online."""
        size = self.geometry
        first = size.first_section(zone)
        words = changes.section_words(self.member, first, size.spans[zone].sections)
        offline = sum(
            word & L.MASK_8 == L.SECTION_STATE_OFFLINE and not word & L.SECTION_KEPT
            for word in words
        )
        absent = sum((word >> L.SECTION_ABSENT_SHIFT & L.MASK_16).bit_count() for word in words)
        found = (offline << size.section_shift) + (absent << size.block_shift)
        return found + room.free_frames(self._made, zone)

    def _alloc_in(self, frames: int, by: int, zone: int) -> Hold:
        """Allocate in a zone, after making room, or in several runs."""
        while True:
            held: Hold | int = self.member.alloc_one_run(frames, zone, by)
            if isinstance(held, Hold):
                return held
            if held == L.NO_RUN:
                held = self.member.reserve(frames, zone, by)
            if isinstance(held, Hold):
                return self._fill(held)
            self.make_room(held, frames, zone)

    def alloc_near(self, frames: int, zone: int) -> Hold:
        """Allocate in a zone, or in others of its kind; a bare reference in hand."""
        kind = self.geometry.spans[zone].kind
        zones = [k for k, span in enumerate(self.geometry.spans) if span.kind == kind]
        return self._alloc_where(frames, BY_HAND, sorted(zones, key=lambda k: (k != zone, k)))

    def reserve_nothing(self) -> Hold:
        """Return a reference to a new object without frames, still ALLOCATING."""
        while True:
            held = self.member.reserve(0, L.ZONE_NORMAL, BY_HAND)
            if isinstance(held, Hold):
                return held
            self.make_room(held)

    def _fill(self, held: Hold) -> Hold:
        """Give a reserved object its runs. On failure it is let go of, runs and all."""
        try:
            status = L.MORE
            while status != L.OK:
                status = self.member.take_run(held)
                if status not in (L.OK, L.MORE):
                    self.make_room(status)
            if self.member.init_on_alloc:
                room.clear_frames(self._made, self.member.runs(held))
            self.member.finish(held)
            return held
        except BaseException:
            release(held)
            raise

    def make_room(self, status: int, frames: int = 0, zone: int = L.ZONE_NORMAL) -> None:
        """Do what a status of the core asks for, so that it is worth trying again; or raise."""
        if status == L.NO_FRAMES:
            room.find_frames(self._made, frames, zone)
        elif L.NO_RECORDS <= status < L.NO_RECORDS + L.TABLES_COUNT:
            room.grow_table(self._made, status - L.NO_RECORDS)
        else:
            raise self.error_of(status)

    def error_of(self, status: int) -> ScamemError:
        """Return the exception that a status of the core stands for."""
        return self.member.error_of(status)
