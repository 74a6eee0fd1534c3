"""The kernel's paths over a `Machine`: vmalloc, mmap, fault, GUP, munmap, fork, vfree and so on.

Paths that can race are generators: they yield where another CPU may come in between, with
the text of what was just done. `search.py` runs them in every order; `run()` runs one alone.
Each path gets only what the kernel's own has: GUP-fast a PTE, unpin a page, a fault a VMA.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from .kernel_objects import Area, Counted, File, Mm, Pin, Pte, Vma
from .machine import Machine
from .page_words import PageType
from .referee import Use
from .verdicts import BrokenError, UnsupportedError, WaitingError

Result = TypeVar("Result")
Atomic = Generator[str, None, Result]
"""A path in atomic steps."""

Where = tuple[tuple[int, str], ...]
NORMAL: Where = ((0, "Normal"),)


def run(path: Atomic[Result]) -> Result:
    """Run a path with nobody in between."""
    while True:
        try:
            next(path)
        except StopIteration as end:
            result: Result = end.value
            return result


class Kernel(Machine):
    """A machine with the paths of mm/."""

    # -- vmalloc ------------------------------------------------------------------

    def pick(self, count: int, where: Where) -> tuple[int, ...]:
        """Scattered free frames, taken from each place of `where` in turn."""
        share = [count // len(where) + (i < count % len(where)) for i in range(len(where))]
        pools = [self.referee.pick(nr, *place) for nr, place in zip(share, where, strict=True)]
        frames = [pools[i % len(pools)][i // len(pools)] for i in range(count)]
        return tuple(frames)

    def vmalloc(
        self,
        name: str,
        count: int,
        where: Where = NORMAL,
        account: bool = False,
        stack: bool = False,
        frames: tuple[int, ...] | None = None,
    ) -> Area:
        """Allocate an area: addresses, frames, and whatever the design keeps for them."""
        chosen = self.pick(count, where) if frames is None else frames
        self.referee.allocate(chosen)
        area = Area(name, chosen, user_mappable=not stack, stack=stack)
        self.areas[name] = area
        self.describe(area, account)
        self.say(f"{name}: frames {', '.join(map(str, chosen))}")
        return area

    def alloc_object(self, name: str, count: int, where: Where = NORMAL) -> Area:
        """Some pages treated as one object by a driver, without vm_struct."""
        if self.rules.count == "area":
            raise UnsupportedError(
                "these pages have no vm_struct, which is where this design counts"
            )
        area = self.vmalloc(name, count, where)
        area.mapped = False
        return area

    def folio(self, name: str, count: int, references: int = 1) -> Counted:
        """Page-cache pages with counts of their own: somebody else's."""
        frames = self.pick(count, NORMAL)
        self.referee.allocate(frames)
        counted = self.new_counted(f"folio {name}", frames, "permanent", references)
        counted.foreign = True
        for pfn in frames:
            self.words.set(pfn, PageType.FILE, counted.address)
            self.page_counts[pfn] = counted
        self.objects[name] = counted
        return counted

    def vmap(self, name: str, pages: Counted | Area, put_pages: bool = False) -> Area:
        """vmap() of pages that somebody already has; `put_pages` is VM_MAP_PUT_PAGES."""
        area = Area(name, pages.frames, foreign=True, put_pages=put_pages)
        if put_pages and not self.rules.area_pages and not self.rules.lists_foreign:
            raise UnsupportedError(
                "vfree() must put these pages: vm_struct has no pages[] any more, and a "
                f"{self.design.object_name} lists only pages that are its own"
            )
        if isinstance(pages, Area):
            area.source = pages
        elif self.rules.vmap == "claims words":
            claim = self.new_counted(f"{self.design.object_name} {name}", area.frames, "permanent")
            claim.places = tuple(self.referee.place(pfn) for pfn in area.frames)
            for pfn in area.frames:
                self._set_word(pfn, claim.address, area)
        self.areas[name] = area
        return area

    def vfree(self, name: str) -> Atomic[None]:
        """vfree() or vunmap(): drop what the area holds, give its addresses back."""
        area = self.areas[name]
        if area.foreign:
            if area.put_pages:
                self.put(self.counter(area.frames[0]), "vfree puts the pages it was given")
            self.end_area(area)
            return
        if self.rules.count == "page":
            for pfn in area.frames:
                self.put(self.page_counts[pfn], "vfree") if self._has_word(pfn) else None
                yield f"vfree {name}: put page {pfn}"
        elif area.held is not None:
            held, area.held = area.held, None
            self._vfree_counted(held)
            yield f"vfree {name}: put {held.name}"
        else:
            for slot, pfn in enumerate(area.frames):
                self.free_frame(pfn, None, slot)
        if not area.gone and (self.rules.count != "area" or self.rules.area_ends == "vfree"):
            self.end_area(area)

    def shrink(self, name: str, pages: int) -> Atomic[None]:
        """vrealloc() to fewer pages: the others go, as far as each has a count of its own."""
        area = self.areas[name]
        for slot, pfn in enumerate(area.frames[pages:], pages):
            if self.rules.count == "page":
                self.put(self.page_counts[pfn], "vrealloc")
            elif self.rules.count == "none":
                self.free_frame(pfn, None, slot)
            yield f"vrealloc: page {slot} of {name}"

    def free_folio(self, name: str) -> None:
        """What a folio and a slab do: one copy of the flags for all of its pages."""
        counted = self.objects[name]
        place = self.referee.place(counted.frames[0])
        for pfn in counted.frames:
            self.referee.free(pfn, place)
            self.words.set(pfn, PageType.BUDDY)
        self.say(f"{counted.name}: {place} copied to {len(counted.frames)} pages")

    def _vfree_counted(self, held: Counted) -> None:
        self.put(held, "vfree")
        if self.rules.count == "area" and self.rules.area_ends == "vfree" and held.live:
            self.free_memory(held)  # the count lies in vm_struct, which goes now

    def _has_word(self, pfn: int) -> bool:
        if self.words.type(pfn) != PageType.HWPOISON:
            return True
        self.referee.withhold(pfn)
        self.say(f"frame {pfn} is poisoned and withheld; its memdesc cannot be found")
        return False

    # -- user mappings ---------------------------------------------------------------

    def mm(self, name: str) -> Mm:
        """A process's address space, made on first use."""
        return self.mms.setdefault(name, Mm(name))

    def open(self, name: str, *areas: str) -> File:
        """Open a driver's file; its release frees the areas named."""
        self.files[name] = File(name, areas)
        return self.files[name]

    def mmap(
        self,
        mm_name: str,
        what: str,
        at: int,
        frames: tuple[int, ...] | None = None,
        file: str | None = None,
        driver_data: str | None = None,
        populate: bool = True,
    ) -> Vma:
        """remap_vmalloc_range(): a new VMA, and its pages inserted unless they fault later."""
        mm, area = self.mm(mm_name), self.areas[what]
        chosen = area.frames if frames is None else frames
        vma = Vma(at, at + len(chosen), private_data=driver_data)
        if file is not None:
            vma.file = self.files[file]
            vma.file.references += 1
        if self.rules.mapping == "vma":
            self._vma_holds(vma, area)
        mm.vmas.append(vma)
        if populate:
            for offset, pfn in enumerate(chosen):
                self.insert(mm, vma, at + offset, pfn, area)
        return vma

    def _vma_holds(self, vma: Vma, area: Area) -> None:
        held = self.driver_object(area)
        if held is not None:
            self.set_slot(vma, held)
            self.get(held, "the VMA holds")

    def driver_object(self, area: Area) -> Counted | None:
        """The object that a driver knows of, having made the area: None for foreign pages."""
        return area.held if area.source is None else area.source.held

    def insert(self, mm: Mm, vma: Vma, address: int, pfn: int, area: Area | None) -> None:
        """vm_insert_page(), or vmf_insert_pfn() where the PTE is special."""
        if address in mm.ptes:
            raise BrokenError("wrong answer", f"{mm.name} has a PTE at {address} already")
        kind = self.words.type(pfn)
        special = self.rules.pte == "special" and kind != PageType.FILE
        if not special:
            self._check_insert(pfn, area)
        if kind == PageType.FILE:
            self.get(self.counter(pfn), f"{mm.name} maps frame {pfn}")
        elif self.rules.mapping == "pte":
            self.get(self.counter(pfn), f"{mm.name} maps frame {pfn}")
        elif self.rules.mapping == "vma" and area is not None:
            if self.slot(vma) is not self.driver_object(area):
                self._vma_holds(vma, area)
        self.referee.hold(Use("PTE", f"{mm.name} at {address}", pfn))
        mm.ptes[address] = Pte(pfn, special)

    def _check_insert(self, pfn: int, area: Area | None) -> None:
        if not self.old_insert_check or self.rules.word == "struct page":
            return
        if self.rules.insert_check == "untyped":
            raise UnsupportedError(
                f"vm_insert_page() refuses frame {pfn}: its page has a type "
                f"({self.words.type(pfn).name})"
            )
        if area is not None and not area.user_mappable:
            raise UnsupportedError(f"vm_insert_page() refuses frame {pfn}: not for user space")

    def fault(self, mm_name: str, address: int, what: str) -> None:
        """A driver's fault handler: it knows its area, takes vmalloc_to_page(), inserts it."""
        mm, area = self.mm(mm_name), self.areas[what]
        vma = mm.vma(address)
        self.insert(mm, vma, address, area.frames[address - vma.start], area)

    def touch(self, mm_name: str, address: int, cpu: int) -> None:
        """A CPU uses an address and keeps the translation."""
        pte = self.mm(mm_name).ptes[address]
        self.referee.hold(Use("TLB entry", f"CPU{cpu} for {mm_name} at {address}", pte.pfn))

    def split(self, mm: Mm, vma: Vma, at: int) -> None:
        """__split_vma(): two VMAs where one was; both hold what one held, if dup_holds."""
        if not vma.start < at < vma.end:
            return
        self._duplicate(mm, vma, at, vma.end)
        vma.end = at

    def _duplicate(self, mm: Mm, vma: Vma, start: int, end: int) -> Vma:
        copy = Vma(start, end, vma.file, vma.private_data, vma.own_field)
        if vma.file:
            vma.file.references += 1
        held = self.slot(vma) if self.rules.mapping == "vma" else None
        if isinstance(held, Counted) and self.rules.dup_holds:
            self.get(held, f"{mm.name} holds by one more VMA")
        mm.vmas.append(copy)
        return copy

    def munmap(self, mm_name: str, start: int, count: int) -> Atomic[None]:
        """Clear PTEs, flush TLBs, drop references, remove VMAs (their files' releases last)."""
        mm = self.mm(mm_name)
        end = start + count
        for vma in list(mm.vmas):
            for edge in (start, end):
                if vma.start < edge < vma.end:
                    self.split(mm, vma, edge)
        batch = []
        for address in range(start, end):
            pte = mm.ptes.pop(address, None)
            if pte is not None:
                batch.append(pte)
                self.referee.drop(Use("PTE", f"{mm.name} at {address}", pte.pfn))
        if self.rules.put == "at zap":
            self._put_batch(mm, batch)
        yield f"{mm.name} munmap: PTEs cleared"
        if self.flush_interrupts and self.interrupts_off:
            raise WaitingError
        self._flush(mm, start, end)
        yield f"{mm.name} munmap: TLBs flushed"
        if self.rules.put != "at zap":
            self._put_batch(mm, batch)
        for vma in [v for v in mm.vmas if start <= v.start and v.end <= end]:
            mm.vmas.remove(vma)
            yield from self._remove_vma(mm, vma)

    def _flush(self, mm: Mm, start: int, end: int) -> None:
        names = [f" for {mm.name} at {address}" for address in range(start, end)]
        for use in list(self.referee.uses):
            if use.kind == "TLB entry" and any(use.who.endswith(name) for name in names):
                self.referee.drop(use)

    def _put_batch(self, mm: Mm, batch: list[Pte]) -> None:
        for pte in batch:
            kind = self.words.type(pte.pfn)
            if kind == PageType.FILE or (self.rules.mapping == "pte" and not pte.special):
                self.put(self.counter(pte.pfn), f"{mm.name} unmaps frame {pte.pfn}")

    def _remove_vma(self, mm: Mm, vma: Vma) -> Atomic[None]:
        held = self.slot(vma) if self.rules.mapping == "vma" else None
        if isinstance(held, Counted):
            self.put(held, f"{mm.name} drops a VMA")
        if vma.file:
            yield from self.fput(vma.file)

    def fput(self, file: File) -> Atomic[None]:
        """Drop a reference to a file; the last one runs the driver's release."""
        file.references -= 1
        if not file.references:
            self.say(f"last reference to file {file.name}: release frees {file.areas}")
            for area in file.areas:
                yield from self.vfree(area)

    def mremap(self, mm_name: str, start: int, count: int, to: int) -> None:
        """Move a part of a mapping: copy_vma(), move_page_tables(), remove the old VMA."""
        mm = self.mm(mm_name)
        for edge in (start, start + count):
            for vma in list(mm.vmas):
                self.split(mm, vma, edge)
        old = mm.vma(start)
        self._duplicate(mm, old, to, to + count)
        for offset in range(count):
            pte = mm.ptes.pop(start + offset, None)
            if pte is not None:
                mm.ptes[to + offset] = pte
                self.referee.drop(Use("PTE", f"{mm.name} at {start + offset}", pte.pfn))
                self.referee.hold(Use("PTE", f"{mm.name} at {to + offset}", pte.pfn))
        self._flush(mm, start, start + count)
        mm.vmas.remove(old)
        run(self._remove_vma(mm, old))

    def fork(self, parent: str, child: str) -> Atomic[None]:
        """dup_mmap(): VMAs first, then each PTE, whose page is all that the copy has."""
        mm, new = self.mm(parent), self.mm(child)
        for vma in list(mm.vmas):
            self._duplicate(new, vma, vma.start, vma.end)
            yield f"fork: VMA at {vma.start} copied"
            for address in range(vma.start, vma.end):
                pte = mm.ptes.get(address)
                if pte is None:
                    continue
                kind = self.words.type(pte.pfn)
                if kind == PageType.FILE or (self.rules.mapping == "pte" and not pte.special):
                    self.get(self.counter(pte.pfn), f"{child} maps frame {pte.pfn}")
                self.referee.hold(Use("PTE", f"{child} at {address}", pte.pfn))
                new.ptes[address] = pte
                yield f"fork: PTE at {address} copied"

    def exit_mm(self, mm_name: str) -> None:
        """A process ends: everything is unmapped."""
        mm = self.mm(mm_name)
        for vma in list(mm.vmas):
            run(self.munmap(mm_name, vma.start, vma.end - vma.start))

    # -- GUP -------------------------------------------------------------------------

    def gup_slow(self, pin: str, mm_name: str, address: int) -> None:
        """pin_user_pages(): under mmap_lock, with a PTE and its VMA."""
        mm = self.mm(mm_name)
        pte, vma = mm.ptes[address], mm.vma(address)
        if pte.special:
            raise UnsupportedError("GUP of a PFNMAP page is refused with EFAULT")
        self.get(self.counter(pte.pfn, vma), f"pin {pin} of frame {pte.pfn}")
        self._pinned(pin, pte.pfn)

    def gup_fast(self, pin: str, mm_name: str, address: int) -> Atomic[bool]:
        """gup_fast_pte_range(): no lock, no VMA; a PTE, its page, and the page's word."""
        self.interrupts_off += 1
        try:
            return (yield from self._gup_fast(pin, mm_name, address))
        finally:
            self.interrupts_off -= 1

    def _gup_fast(self, pin: str, mm_name: str, address: int) -> Atomic[bool]:
        mm = self.mm(mm_name)
        pte = mm.ptes.get(address)
        yield f"gup_fast: reads the PTE at {address}"
        if pte is None:
            return False
        if pte.special:
            raise UnsupportedError("gup_fast sees a special PTE and gives up; slow GUP: EFAULT")
        if self.words.type(pte.pfn) == PageType.BUDDY:
            return False
        serial = self.referee.serial(pte.pfn)
        seen = self.counter(pte.pfn)
        yield f"gup_fast: frame {pte.pfn} -> {seen.name} at {seen.address:#x}"
        found = self.load(seen)
        if found.refcount <= 0:
            return False
        found.refcount += 1
        self.say(f"gup_fast: {found.name} refcount {found.refcount - 1} -> {found.refcount}")
        yield f"gup_fast: takes a reference to {found.name}"
        if self.rules.recheck and not self._unchanged(mm, address, pte, found):
            self.say("gup_fast: PTE or memdesc changed; gives the reference back")
            self.put(found, "gup_fast")
            return False
        self._pinned(pin, pte.pfn)
        self.referee.same(pte.pfn, serial, f"pin {pin}")
        return True

    def walk(self, pfn: int) -> Atomic[None]:
        """get_page_unless_zero() and put_page(): compaction, offlining, memory failure."""
        if self.words.type(pfn) == PageType.BUDDY:
            return
        try:
            seen = self.counter(pfn)
        except UnsupportedError:
            return  # no count to be found; a walker passes by
        yield f"a walker of pfns: frame {pfn} -> {seen.name} at {seen.address:#x}"
        found = self.load(seen)
        if found.refcount <= 0:
            return
        found.refcount += 1
        yield f"the walker: takes a reference to {found.name}"
        self.put(found, "the walker")

    def _unchanged(self, mm: Mm, address: int, pte: Pte, found: Counted) -> bool:
        if mm.ptes.get(address) is not pte:
            return False
        return self.rules.word == "struct page" or self.words.address(pte.pfn) == found.address

    def _pinned(self, name: str, pfn: int) -> None:
        self.referee.hold(Use("pin", name, pfn))
        self.pins[name] = Pin(name, pfn)

    def unpin(self, name: str) -> Atomic[None]:
        """unpin_user_page(): a page, in any context, at any later time."""
        pin = self.pins[name]
        counted = self.counter(pin.pfn)
        del self.pins[name]
        self.referee.drop(Use("pin", name, pin.pfn))
        yield f"unpin: found {counted.name}"
        self.put(counted, f"unpin {name}")

    # -- the rest -----------------------------------------------------------------------

    def longterm(self, mm_name: str, address: int) -> bool:
        """is_longterm_pinnable(): no page of ZONE_MOVABLE. True: may be pinned for long."""
        pfn = self.mm(mm_name).ptes[address].pfn
        if self.rules.longterm == "type":
            return True
        return self.locate(pfn).zone != "Movable"

    def offline(self, name: str) -> None:
        """Offline the pageblock of an area's first frame; it must refuse while in use."""
        size = self.topology.pageblock_frames
        first = self.areas[name].frames[0] // size * size
        for pfn in range(first, first + size):
            if self.referee.is_free(pfn):
                continue
            if self._looks_unmovable(pfn):
                self.say(f"frame {pfn} is unmovable; offlining is refused")
                return
            raise BrokenError(
                "refused late",
                f"has_unmovable_pages() passes frame {pfn} (refcount 0, not buddy); then "
                "test_pages_isolated() finds it in no free list: -EBUSY, and offline_pages() "
                "tries again until a signal comes",
            )

    def _looks_unmovable(self, pfn: int) -> bool:
        if self.words.type(pfn) == PageType.FILE:
            return True
        if self.rules.offline == "type":
            return self.rules.word != "struct page"
        counted = self.page_counts.get(pfn)
        return counted is not None and counted.refcount > 0

    def memory_failure(self, name: str, index: int) -> None:
        """Hardware reports an error in one frame of an area."""
        pfn = self.areas[name].frames[index]
        self.referee.poisoned.add(pfn)
        if self.rules.poison == "object":
            self.counter(pfn).poisoned.add(pfn)
        else:
            self.words.poison(pfn, overwrite=self.rules.poison == "word")
        if self.rules.poison == "page flag" and self.rules.count in ("object", "area"):
            self.get(self.counter(pfn), "memory_failure() of an unknown page keeps its reference")
        self.say(f"frame {pfn} is poisoned ({self.rules.poison})")
