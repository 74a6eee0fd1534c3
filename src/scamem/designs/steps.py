"""The words in which scenarios are written: steps that act on a machine, and steps that check."""

from __future__ import annotations

from .design import Design
from .kernel_objects import Area
from .page_words import MiscSubtype, PageType
from .paths import NORMAL, Kernel, Where, run
from .scenario import Step
from .structs import PAGE_SIZE
from .topology import renumbered
from .verdicts import BrokenError, NotApplicableError, UnsupportedError, counted

# -- steps that act --------------------------------------------------------------------


def vmalloc(
    name: str, count: int, where: Where = NORMAL, account: bool = False, stack: bool = False
) -> Step:
    """Allocate an area of scattered frames."""
    text = f"vmalloc({counted(count, 'page')}) is {name}" + (
        ", charged to a cgroup" if account else ""
    )
    return Step(text, lambda k: void(k.vmalloc(name, count, where, account, stack)))


def alloc_object(name: str, count: int, where: Where = NORMAL) -> Step:
    """A driver's pages as one object, without vm_struct."""
    text = f"a driver allocates {count} pages as one object {name}, no vmalloc"
    return Step(text, lambda k: void(k.alloc_object(name, count, where)))


def folio(name: str, count: int, references: int = 1) -> Step:
    """Somebody else's pages."""
    text = f"folio {name} of {count} pages, refcount {references}"
    return Step(text, lambda k: void(k.folio(name, count, references)))


def vmap(name: str, pages: str, put_pages: bool = False) -> Step:
    """Map given pages into the kernel."""
    flag = ", VM_MAP_PUT_PAGES" if put_pages else ""
    return Step(
        f"{name} = vmap(pages of {pages}{flag})",
        lambda k: void(k.vmap(name, k.objects.get(pages) or k.areas[pages], put_pages)),
    )


def vfree(name: str) -> Step:
    """vfree() or vunmap()."""
    return Step(f"vfree({name})", lambda k: run(k.vfree(name)))


def open_file(name: str, *areas: str, private_data: str | None = None) -> Step:
    """A driver's file."""

    def act(k: Kernel) -> None:
        k.open(name, *areas).private_data = private_data

    kept = f", private_data is the driver's {private_data}" if private_data else ""
    return Step(f"open file {name}; its release frees {' and '.join(areas)}{kept}", act)


def close_file(name: str) -> Step:
    """close() of the descriptor."""
    return Step(f"close({name})", lambda k: run(k.fput(k.files[name])))


def mmap(
    mm: str,
    what: str,
    at: int = 0,
    file: str | None = None,
    part: slice = slice(None),
    repeat: int = 1,
    driver_data: str | None = None,
    populate: bool = True,
    by: str = "",
) -> Step:
    """Map an area (or a part of it, or it several times in a row) into a process."""

    def act(k: Kernel) -> None:
        frames = k.areas[what].frames[part] * repeat
        k.mmap(mm, what, at, frames, file, driver_data, populate)

    lazily = "" if populate else ", pages to be faulted in"
    how = f" by {by}" if by else ""
    return Step(f"{mm} maps {what} at {at}{how}{lazily}", act)


def fault(mm: str, what: str, start: int, count: int) -> Step:
    """Touch pages that are not there yet."""

    def act(k: Kernel) -> None:
        for address in range(start, start + count):
            k.fault(mm, address, what)

    return Step(f"{mm} faults in {counted(count, 'page')} at {start}", act)


def touch(mm: str, address: int, cpu: int) -> Step:
    """Fill a CPU's TLB."""
    return Step(f"CPU{cpu} uses {mm}'s address {address}", lambda k: k.touch(mm, address, cpu))


def munmap(mm: str, start: int, count: int) -> Step:
    """Unmap a range."""
    return Step(
        f"{mm} unmaps {counted(count, 'page')} at {start}",
        lambda k: run(k.munmap(mm, start, count)),
    )


def mremap(mm: str, start: int, count: int, to: int) -> Step:
    """Move a range."""
    text = f"{mm} moves {count} pages from {start} to {to}"
    return Step(text, lambda k: k.mremap(mm, start, count, to))


def fork(parent: str, child: str) -> Step:
    """Copy a process."""
    return Step(f"{parent} forks {child}", lambda k: run(k.fork(parent, child)))


def exits(mm: str) -> Step:
    """End a process."""
    return Step(f"{mm} exits", lambda k: k.exit_mm(mm))


def gup_slow(pin: str, mm: str, address: int) -> Step:
    """Pin with the VMA at hand."""
    text = f"pin_user_pages({mm}, {address}) is {pin}"
    return Step(text, lambda k: k.gup_slow(pin, mm, address))


def gup_fast(pin: str, mm: str, address: int) -> Step:
    """Pin with the PTE only."""

    def act(k: Kernel) -> None:
        if not run(k.gup_fast(pin, mm, address)):
            raise BrokenError("wrong answer", "gup_fast found nothing to pin")

    return Step(f"pin_user_pages_fast_only({mm}, {address}) is {pin}", act)


def gup_with_secretmem(pin: str, mm: str, address: int) -> Step:
    """Pin on a kernel with CONFIG_SECRETMEM, as distributions build it."""

    def act(k: Kernel) -> None:
        k.say("gup_fast_folio_allowed(): one page without a mapping may be secret memory: no")
        k.gup_slow(pin, mm, address)

    return Step(f"pin_user_pages_fast({mm}, {address}) is {pin}, with CONFIG_SECRETMEM", act)


def map_by_many(name: str, pages: int, processes: int) -> Step:
    """So many processes map so many pages; one frame stands for each page's own count."""

    def act(k: Kernel) -> None:
        area = k.areas[name]
        why = f"{processes:,} processes map {pages:,} pages"
        if k.rules.count == "page":
            k.get_many(k.page_counts[area.frames[0]], processes, why)
        elif area.held is not None:
            each = {"pte": pages, "vma": 1, "none": 0}[k.rules.mapping]
            k.get_many(area.held, each * processes, why)

    return Step(f"{processes:,} processes map {pages:,} pages each of {name}", act)


def shrink(name: str, pages: int) -> Step:
    """vrealloc() to fewer pages, while somebody maps all of them."""

    def act(k: Kernel) -> None:
        run(k.shrink(name, pages))

    return Step(f"vrealloc({name}) down to {counted(pages, 'page')}", act)


def free_folio(name: str) -> Step:
    """Free a folio or a slab: its flags, stored once, are copied back to each page."""
    return Step(f"{name} is freed; its flags go back to each page", lambda k: k.free_folio(name))


def unpin(pin: str) -> Step:
    """Unpin with the page only."""
    return Step(f"unpin_user_page({pin})", lambda k: run(k.unpin(pin)))


def poison(name: str, index: int) -> Step:
    """A memory error."""
    text = f"memory_failure() on page {index} of {name}"
    return Step(text, lambda k: k.memory_failure(name, index))


def offline(name: str) -> Step:
    """Try to offline memory in use."""
    return Step(f"offline the pageblock of page 0 of {name}", lambda k: k.offline(name))


def kexec(name: str) -> Step:
    """kho_preserve_vmalloc() and the next kernel's restore; it numbers nodes its own way."""

    def act(k: Kernel) -> None:
        frames = k.areas[name].frames
        k.boot(renumbered(k.topology))
        k.vmalloc(name, len(frames), frames=frames)

    return Step(f"kexec; the next kernel restores {name} from the addresses of its frames", act)


# -- steps that check ---------------------------------------------------------------------


def all_free() -> Step:
    """At the end nothing is left: no frame, no object, no charge."""

    def act(k: Kernel) -> None:
        left = k.referee.in_use()
        if left:
            raise BrokenError("leak", f"frames {left} are never freed")
        objects = [c.name for c in k.heap.values() if c.live and c.memory != "permanent"]
        if objects:
            raise BrokenError("leak", f"never freed: {', '.join(objects)}")
        if k.charged:
            raise BrokenError("leak", f"{k.charged} pages stay charged")

    return Step("everything is free", act)


def held(name: str, at_most: int) -> Step:
    """How many frames of an area are still taken."""

    def act(k: Kernel) -> None:
        taken = [pfn for pfn in k.areas[name].frames if not k.referee.is_free(pfn)]
        if len(taken) > at_most:
            raise BrokenError(
                "held too much", f"{counted(len(taken), 'frame')} of {name} held, {at_most} needed"
            )

    return Step(f"at most {counted(at_most, 'frame')} of {name} held", act)


def addresses_returned(name: str) -> Step:
    """vfree() gave the kernel addresses back."""

    def act(k: Kernel) -> None:
        area = k.areas[name]
        if area.mapped:
            pages = len(area.frames) + 1
            raise BrokenError(
                "held too much",
                f"vfree() returned, and {pages * PAGE_SIZE // 1024} KiB of addresses (guard page "
                "included) and vm_struct stay until the last pin goes",
            )

    return Step(f"the kernel addresses of {name} are free", act)


def refcount(name: str, value: int) -> Step:
    """The object's count is back where it was."""

    def act(k: Kernel) -> None:
        held = k.areas[name].held
        if held is not None and held.refcount != value:
            raise BrokenError("leak", f"{held.name} has refcount {held.refcount}")

    return Step(f"the count of {name} is {value} again", act)


def charge_covers(name: str) -> Step:
    """The cgroup is charged for every frame that it still causes to be held."""

    def act(k: Kernel) -> None:
        taken = [pfn for pfn in k.areas[name].frames if not k.referee.is_free(pfn)]
        if k.charged < len(taken):
            raise BrokenError(
                "undercharged",
                f"{counted(len(taken), 'frame')} of {name} held, {k.charged} charged",
            )

    return Step(f"what is held of {name} is charged", act)


def nodes_known(name: str) -> Step:
    """page_to_nid(), page_zone() and page_to_section() of every page of a live area."""

    def act(k: Kernel) -> None:
        for pfn in k.areas[name].frames:
            place, truth = k.locate(pfn), k.referee.place(pfn)
            if place.node != truth.node:
                raise BrokenError("wrong node", f"frame {pfn} is of {truth}, answer {place}")
            if place != truth:
                raise BrokenError("wrong zone", f"frame {pfn} is of {truth}, answer {place}")

    return Step(f"page_to_nid(), page_zone(), page_to_section() of each live page of {name}", act)


def pfns_known(name: str) -> Step:
    """page_to_pfn(), as every DMA mapping needs it."""

    def act(k: Kernel) -> None:
        for pfn in k.areas[name].frames:
            k.page_to_pfn(pfn)

    return Step(f"page_to_pfn() of each page of {name}", act)


def longterm(mm: str, address: int, allowed: bool) -> Step:
    """FOLL_LONGTERM looks at the zone."""

    def act(k: Kernel) -> None:
        if k.longterm(mm, address) != allowed:
            zone = k.referee.place(k.mm(mm).ptes[address].pfn).zone
            verb = "is allowed" if not allowed else "is refused"
            raise BrokenError("wrong zone", f"a long-term pin {verb} in ZONE_{zone.upper()}")

    outcome = "allowed" if allowed else "refused (ZONE_MOVABLE)"
    return Step(f"FOLL_LONGTERM of {mm}'s address {address} is {outcome}", act)


def withheld(name: str, index: int, freed: int) -> Step:
    """Poisoned frames never come back, all others do."""

    def act(k: Kernel) -> None:
        frames = k.areas[name].frames
        free = [pfn for pfn in frames if k.referee.is_free(pfn)]
        if len(free) != freed or k.referee.withheld != {frames[index]}:
            raise BrokenError(
                "leak", f"{len(free)} frames freed, withheld {sorted(k.referee.withheld)}"
            )

    return Step(f"{freed} frames of {name} are free and page {index} is withheld", act)


def folio_intact(name: str, references: int) -> Step:
    """Pages of others are as they were."""

    def act(k: Kernel) -> None:
        pages = k.objects[name]
        for pfn in pages.frames:
            if k.words.type(pfn) != PageType.FILE:
                raise BrokenError("wrong object", f"the word of frame {pfn} is no folio's now")
        if pages.refcount != references:
            raise BrokenError("leak", f"{pages.name} has refcount {pages.refcount}")

    return Step(f"folio {name} is unharmed", act)


def owner_known(name: str) -> Step:
    """Whose page is it?"""

    def act(k: Kernel) -> None:
        pfn = k.areas[name].frames[1]
        address = k.words.address(pfn)
        if address is None:
            raise UnsupportedError(f"the word of frame {pfn} names nobody")
        if k.rules.count == "page":
            raise UnsupportedError(f"the word of frame {pfn} names a memdesc of that page alone")
        k.say(f"frame {pfn} is {k.heap[address].name}'s")

    return Step(f"whose is page 1 of {name}", act)


def smaps(mm: str) -> Step:
    """Rss, and the per-page map count behind Pss and kpagecount."""

    def act(k: Kernel) -> None:
        ptes = k.mm(mm).ptes.values()
        rss = sum(not pte.special for pte in ptes)
        if rss != len(ptes):
            raise BrokenError("wrong answer", f"Rss counts {rss} of {len(ptes)} mapped pages")
        if not (k.rules.mapcount and k.rules.count == "page"):
            raise UnsupportedError(
                "no map count of a page: /proc/kpagecount and Pss would have to invent one"
            )

    return Step(f"Rss, Pss and kpagecount of {mm}", act)


def dump(name: str) -> Step:
    """makedumpfile and crash read struct page by offsets that vmcoreinfo exports."""

    def act(k: Kernel) -> None:
        exported = ("flags", "_refcount", "_mapcount", "lru", "private")
        absent = [member for member in exported if not k.words.struct.has(member)]
        if absent:
            raise UnsupportedError(f"struct page has no {', '.join(absent)} to export offsets of")
        k.say(f"page of {name}: all of {', '.join(exported)} are there")

    return Step("a crash dump's reader finds the members of struct page", act)


def old_insert_check() -> Step:
    """vm_insert_page() as it is in 6.18: a page with a type is refused."""

    def act(k: Kernel) -> None:
        k.old_insert_check = True

    return Step("vm_insert_page() checks page types as 6.18 does", act)


def refused(step: Step, danger: str) -> Step:
    """The step must be refused."""

    def act(k: Kernel) -> None:
        try:
            step.act(k)
        except UnsupportedError as refusal:
            k.say(f"refused: {refusal.text}")
            return
        raise BrokenError("wrong answer", danger)

    return Step(f"{step.text} (must be refused)", act)


def metadata_no_worse_than_today(name: str, count: int, today: Design) -> Step:
    """Metadata that itself needs vmalloc must not become more than today's."""

    def act(k: Kernel) -> None:
        ours = [m for m in k.design.metadata(count) if m.nested]
        before = [m for m in today.metadata(count) if m.nested]
        for item in ours:
            k.say(f"{item.what}: {item.nbytes:,} B is more than a page: a nested vmalloc")
        if len(ours) > len(before):
            told = ", ".join(f"{m.what} {m.nbytes:,} B" for m in ours)
            raise BrokenError(
                "held too much",
                f"{counted(len(ours), 'nested vmalloc')} ({told}: more than a page, mm/vmalloc.c's "
                f"rule) for {count} pages, today {len(before)}",
            )

    return Step(f"metadata of {name} ({count} pages) needs no more vmallocs than today", act)


def stack_type(name: str) -> Step:
    """Give the pages of a stack their type, as the 2025 patch does after vmalloc()."""

    def act(k: Kernel) -> None:
        set_stack_type(k, k.areas[name])

    return Step(f"the pages of {name} are typed as a kernel stack", act)


def set_stack_type(kernel: Kernel, area: Area) -> None:
    """Write the stack's subtype into each word, where a design has one."""
    if kernel.rules.typed == "no stack type" or kernel.rules.word != "flags":
        raise NotApplicableError("this design has no type for kernel stacks")
    if kernel.rules.typed == "afterwards":
        for pfn in area.frames:
            kernel.words.set(pfn, PageType.MISC, subtype=MiscSubtype.KSTACK)


def void(_: object) -> None:
    """Discard a result."""
