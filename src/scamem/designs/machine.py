"""The state of a modelled machine, and the few acts on it that a design's answers decide.

Finding a count from a page, dropping it, freeing what it covered, finding a live page's
node: each asks `Rules`, does what that answer permits and raises UnsupportedError where the
caller's knowledge (a page; or a page and its VMA) does not lead there. This is a model of
page metadata; it shares nothing with the arena.
"""

from __future__ import annotations

import numpy as np

from .design import Design
from .kernel_objects import Area, Counted, File, Mm, Pin, Place, Vma, zone_name
from .page_words import MiscSubtype, PageType, PageWords
from .referee import Referee
from .rules import ObjectMemory
from .topology import Topology, model_machine, pure_sections_machine, section_table, table
from .verdicts import BrokenError, UnsupportedError
from .verdicts import counted as plural

FIRST_ADDRESS = 0x1000
COUNT_MAX = (1 << 31) - 1


class Machine:
    """Words, objects and counts of one machine under one design."""

    def __init__(self, design: Design, topology: Topology | None = None) -> None:
        self.design = design
        self.rules = design.rules
        if topology is None:
            topology = pure_sections_machine() if self.rules.pure_sections else model_machine()
        self.trace: list[str] = []
        self.old_insert_check = False
        self.charged = 0
        self.flush_interrupts = False  # munmap's TLB flush waits for CPUs with interrupts off
        self.interrupts_off = 0
        self.areas: dict[str, Area] = {}
        self.objects: dict[str, Counted] = {}
        self.files: dict[str, File] = {}
        self.mms: dict[str, Mm] = {}
        self.pins: dict[str, Pin] = {}
        self.boot(topology)

    def boot(self, topology: Topology) -> None:
        """Start (or start again) with all memory free."""
        self.topology = topology
        self.words = PageWords(self.rules.word, topology)
        self.referee = Referee(topology)
        self.heap: dict[int, Counted] = {}
        self.spare_addresses: list[int] = []
        self.next_address = FIRST_ADDRESS
        self.page_counts: dict[int, Counted] = {}

    def say(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(text)

    # -- memory of objects ------------------------------------------------------

    def new_counted(
        self, name: str, frames: tuple[int, ...], memory: ObjectMemory, refcount: int = 1
    ) -> Counted:
        """Allocate an object; the last freed address comes first, as from a slab."""
        if self.spare_addresses:
            address = self.spare_addresses.pop()
        else:
            address, self.next_address = self.next_address, self.next_address + 64
        counted = Counted(name, address, refcount, frames, memory)
        self.heap[address] = counted
        return counted

    def free_memory(self, counted: Counted) -> None:
        """Free an object's own memory in the way its design does."""
        if counted.memory == "permanent":
            return
        counted.live = False
        if counted.memory in ("kfree", "typesafe"):
            self.spare_addresses.append(counted.address)
        self.say(f"{counted.name} is freed ({counted.memory})")

    def load(self, seen: Counted) -> Counted:
        """What is found at a pointer read earlier, in an RCU read section."""
        if not seen.live and seen.memory == "kfree":
            raise BrokenError(
                "use after free",
                f"reads the refcount of {seen.name} at {seen.address:#x}, which was kfree'd "
                "under the reader",
            )
        return self.heap.get(seen.address, seen) if seen.memory == "typesafe" else seen

    # -- counts -------------------------------------------------------------------

    def counter(self, pfn: int, vma: Vma | None = None) -> Counted:
        """The count that keeps a frame, found from its page and, where there is one, its VMA."""
        kind = self.words.type(pfn)
        if kind == PageType.BUDDY:
            raise UnsupportedError(f"frame {pfn} is free")
        if self.rules.word == "struct page":
            if pfn not in self.page_counts:
                raise UnsupportedError(f"struct page of frame {pfn} has counts that nobody uses")
            return self.page_counts[pfn]
        address = self.words.address(pfn)
        if address is not None:
            return self.heap[address]
        if vma is not None and self.rules.mapping == "vma" and kind != PageType.HWPOISON:
            return self._counter_of_vma(pfn, vma)
        if kind == PageType.HWPOISON:
            raise UnsupportedError(
                f"page->memdesc of frame {pfn} says HWPoison; what it pointed to is lost"
            )
        if self.rules.count == "none":
            raise UnsupportedError(f"nothing counts references to frame {pfn}")
        knows = "a page" if vma is None else "a page and a VMA"
        raise UnsupportedError(
            f"the word of frame {pfn} holds flags and no pointer; from {knows} "
            f"the {self.design.object_name} is not found"
        )

    def _counter_of_vma(self, pfn: int, vma: Vma) -> Counted:
        found = self.slot(vma)
        if not isinstance(found, Counted):
            raise UnsupportedError(f"{self.rules.vma_slot} holds no {self.design.object_name}")
        if pfn not in found.frames:
            raise BrokenError(
                "wrong object", f"the VMA leads to {found.name}, frame {pfn} is not its"
            )
        return found

    def slot(self, vma: Vma) -> object | None:
        """What the place of a VMA that the design uses holds now."""
        if self.rules.vma_slot == "vm_file":
            return vma.file.private_data if vma.file else None
        return vma.own_field if self.rules.vma_slot == "own field" else vma.private_data

    def set_slot(self, vma: Vma, counted: Counted) -> None:
        """Store the object in the VMA's (or its file's) place; a driver's pointer bars it."""
        held = self.slot(vma)
        if held is not None and held is not counted:
            other = held.name if isinstance(held, Counted) else f"the driver's {held}"
            raise UnsupportedError(f"{self.rules.vma_slot} already holds {other}")
        if self.rules.vma_slot == "own field":
            vma.own_field = counted
        elif self.rules.vma_slot == "vm_private_data":
            vma.private_data = counted
        elif vma.file:
            vma.file.private_data = counted
        else:
            raise UnsupportedError("the mapping has no file whose private_data could be used")

    def get_many(self, counted: Counted, references: int, why: str) -> None:
        """Take very many references, as processes do that map a large area one after the other."""
        if counted.refcount + references <= COUNT_MAX:
            counted.refcount += references
            self.say(f"{why}: {counted.name} refcount {counted.refcount:,}")
            return
        told = f"{why}: {references:,} references are more than {COUNT_MAX:,}"
        if self.rules.full_count == "refuses":
            raise UnsupportedError(f"{told}; refused")
        if self.rules.full_count == "wraps":
            raise BrokenError(
                "use after free", f"{told}; the count of {counted.name} wraps, and falls to zero"
            )
        raise BrokenError(
            "leak", f"{told}; refcount_t of {counted.name} saturates, and is never zero again"
        )

    def get(self, counted: Counted, why: str) -> None:
        """Take a reference that a caller is entitled to."""
        if not counted.live or counted.refcount <= 0:
            raise BrokenError("use after free", f"{why}: {counted.name} is already at zero")
        counted.refcount += 1
        self.say(f"{why}: {counted.name} refcount {counted.refcount - 1} -> {counted.refcount}")

    def put(self, counted: Counted, why: str) -> None:
        """Drop a reference; the last one frees what it covers."""
        if not counted.live:
            raise BrokenError("use after free", f"{why}: {counted.name} is freed already")
        if counted.refcount <= 0:
            raise BrokenError("double free", f"{why}: {counted.name} is at zero already")
        counted.refcount -= 1
        self.say(f"{why}: {counted.name} refcount {counted.refcount + 1} -> {counted.refcount}")
        if not counted.refcount:
            self.release(counted)

    # -- freeing ------------------------------------------------------------------

    def release(self, counted: Counted) -> None:
        """Free the frames that a count at zero covered, then the object."""
        for slot, pfn in enumerate(self.listed(counted)):
            self.free_frame(pfn, counted, slot)
        self.uncharge(counted.charged, counted.name)
        counted.charged = 0
        area = counted.area
        if area is not None and self.rules.count == "area":
            self.end_area(area)
        self.free_memory(counted)

    def listed(self, counted: Counted) -> tuple[int, ...]:
        """The frames of an object, from a list that can still be read."""
        if self.rules.count == "page" or counted.foreign or self.rules.pages == "object":
            return counted.frames
        if counted.area is not None and counted.area.has_list:
            return counted.frames
        raise BrokenError(
            "leak",
            f"{counted.name} is at zero and nothing lists its "
            f"{plural(len(counted.frames), 'frame')}: pages[] went with vm_struct",
        )

    def free_frame(self, pfn: int, counted: Counted | None, slot: int) -> None:
        """Hand one frame to the page allocator, which asks where it belongs."""
        if self.words.poisoned(pfn) or (counted is not None and pfn in counted.poisoned):
            self.referee.withhold(pfn)
            self.say(f"frame {pfn} is poisoned and withheld")
            return
        self.referee.free(pfn, self.locate(pfn, counted, slot))
        self.words.set(pfn, PageType.BUDDY)
        self.page_counts.pop(pfn, None)
        self.say(f"frame {pfn} is freed")

    def end_area(self, area: Area) -> None:
        """Give the addresses back and free vm_struct, with pages[] where that is its own."""
        area.mapped = False
        area.has_list = False
        area.gone = True
        self.uncharge(area.charged, area.name)
        area.charged = 0
        self.say(f"addresses and vm_struct of {area.name} are freed")

    def uncharge(self, frames: int, whose: str) -> None:
        """Give pages back to the memory cgroup."""
        if frames:
            self.charged -= frames
            self.say(f"{frames} pages of {whose} are uncharged")

    # -- node, zone, section --------------------------------------------------------

    def locate(self, pfn: int, counted: Counted | None = None, slot: int | None = None) -> Place:
        """Node, zone and section of a page.

        With `slot` the caller is freeing and knows the page's index in its object; without,
        it has a live page and nothing else.
        """
        if self.words.type(pfn) == PageType.FILE:
            return self.referee.place(pfn)  # a folio has its own flags
        in_word = self.words.location(pfn)
        if in_word is not None:
            return self._place_from_word(pfn, in_word)
        if self.rules.flags == "nowhere":
            raise UnsupportedError(f"nothing tells node and zone of frame {pfn}")
        if self.rules.flags == "pfn":
            return self._place_by_pfn(pfn, freeing=slot is not None)
        found = counted if counted is not None else self.counter(pfn)
        if self.rules.flags in ("memdesc", "once"):
            return found.places[0]
        if slot is None:
            slot = self.search_slot(found, pfn)
        return found.places[slot]

    def search_slot(self, counted: Counted, pfn: int) -> int:
        """Which entry of the object's list is this page: a linear search (4a's cost)."""
        if self.rules.pages == "area" and not (counted.area and counted.area.has_list):
            raise UnsupportedError(
                f"which slot of {counted.name} is frame {pfn}? pages[] went with vm_struct"
            )
        probes = int(np.flatnonzero(np.array(counted.frames) == pfn)[0])
        self.say(f"slot of frame {pfn} found after {probes + 1} probes")
        return probes

    def page_to_pfn(self, pfn: int) -> int:
        """page_to_pfn(): without vmemmap it reads the section from page->flags."""
        if self.topology.memory_model != "sparse" or self.words.location(pfn) is not None:
            return pfn
        in_memdesc = self.rules.flags in ("memdesc", "slot", "once")
        if self.words.type(pfn) == PageType.FILE or in_memdesc:
            self.locate(pfn)
            return pfn
        if self.rules.entries == "pfn" and self.words.has_pointer:
            self.search_slot(self.counter(pfn), pfn)
            return pfn
        raise UnsupportedError(
            "page_to_pfn() needs the section, which is looked up by pfn: circular without vmemmap"
        )

    def _place_from_word(self, pfn: int, found: tuple[int | None, int | None, int]) -> Place:
        section, node, zone = found
        if section is None:
            section = pfn // self.topology.section_frames
        if node is None:  # NODE_NOT_IN_PAGE_FLAGS
            node = int(section_table(self.topology).lookup(np.array([pfn]))[0][0])
        return Place(node, zone_name(zone), section)

    def _place_by_pfn(self, pfn: int, freeing: bool) -> Place:
        if self.rules.flags_when == "freeing" and not freeing:
            raise UnsupportedError(
                f"frame {pfn} is live; node and zone are reconstructed at freeing time only"
            )
        if not (freeing and self.rules.entries == "pfn"):
            self.page_to_pfn(pfn)
        nodes, zones = table(self.topology, self.rules.table).lookup(np.array([pfn]))
        zone = zone_name(int(zones[0]))
        return Place(int(nodes[0]), zone, pfn // self.topology.section_frames)

    # -- allocating -------------------------------------------------------------------

    def describe(self, area: Area, account: bool) -> None:
        """Write words and counts for freshly allocated frames of an area."""
        if self.rules.count == "page":
            for pfn in area.frames:
                self._describe_page(pfn, account)
        elif self.rules.count in ("object", "area"):
            name = f"{self.design.object_name} {area.name}"
            if self.rules.count == "area":
                name = f"vm_struct {area.name}"
            counted = self.new_counted(name, area.frames, self.design.object_memory())
            counted.places = tuple(self.referee.place(pfn) for pfn in area.frames)
            counted.area, area.held = area, counted
            for pfn in area.frames:
                self._set_word(pfn, counted.address, area)
        else:
            for pfn in area.frames:
                self._set_word(pfn, 0, area)
        if account:
            self._charge(area)

    def _describe_page(self, pfn: int, account: bool) -> None:
        kind: ObjectMemory = "permanent" if self.rules.word == "struct page" else self.rules.memory
        counted = self.new_counted(f"page {pfn}", (pfn,), kind)
        counted.places = (self.referee.place(pfn),)
        self.page_counts[pfn] = counted
        self.words.set(pfn, PageType.SCAMEM, counted.address)
        if account and self.rules.charge == "page":
            counted.charged = 1

    def _set_word(self, pfn: int, address: int, area: Area) -> None:
        if self.words.has_pointer and address:
            self.words.set(pfn, PageType.SCAMEM, address)
            return
        subtype = MiscSubtype.VMALLOC
        if area.stack and self.rules.typed == "at allocation":
            subtype = MiscSubtype.KSTACK
        self.words.set(
            pfn, PageType.MISC, subtype=subtype, mappable=area.user_mappable and not area.stack
        )

    def _charge(self, area: Area) -> None:
        if self.rules.charge == "area":
            area.charged = len(area.frames)
        elif self.rules.charge == "object" and area.held is not None:
            area.held.charged = len(area.frames)
        elif self.rules.charge != "page" or self.rules.count != "page":
            raise UnsupportedError(
                f"no {self.rules.charge} of this design has room for the cgroup's pointer"
            )
        self.charged += len(area.frames)
        self.say(f"{len(area.frames)} pages charged to the {self.rules.charge}")
