"""The life of a scamem, as the linux-mm mail describes it, with two processes, one of which dies.

The mail treats the pages that vmalloc() returns as a single object, a
`struct scamem { nr; refcount; pages[] }`. Its vm_struct holds one reference. Each mapping holds
one, and so does each page that get_user_pages() or pin_user_pages() returned. The object is freed
once the count is zero, "rather than freed as part of vm_struct".

This program shows that life line by line, with the kernel's names. One thing differs from a kernel:
references belong to processes, and when a process is killed the others release what it held.
"""

import multiprocessing
from multiprocessing.connection import Connection

import scamem
from scamem.mm import (
    ScamemLook,
    munmap,
    page_to_nid,
    page_to_scamem,
    page_to_section,
    page_zone,
    pin_user_pages,
    remap_vmalloc_range,
    unpin_user_pages,
    vfree,
    vmalloc,
)

PAGE = 4096


def second_process(wire: Connection) -> None:
    """Run the first process's commands one at a time, and report each when it is done."""
    area = wire.recv()  # an area arrives as its scamem: an address is of use in one process only
    wire.send("received")
    vma = pages = parts = None
    while True:
        line = wire.recv()
        if line == "map":
            vma = remap_vmalloc_range(area)
            area.close()
            vma.view()[4 * PAGE] = 42
        elif line == "pin":
            pages = pin_user_pages(vma, 4, 8)
        elif line == "hand on":
            wire.send(pages)
            continue
        elif line == "unmap a hole":
            parts = munmap(vma, 6, 2)
        elif line == "unmap the rest":
            for part in parts:
                munmap(part)
        wire.send("done")


class Narrator:
    """Prints each line, and then the holders."""

    def __init__(self, arena: scamem.Arena, names: dict[int, str]) -> None:
        self.arena = arena
        self.names = names

    def tell(self, line: str, why: str, look: ScamemLook) -> None:
        """Print a line of the story, the reason for the count, and the count."""
        print(f"\n{line}\n    {why}")
        if look.freed:
            print(f"    refcount 0: {look!r}")
        else:
            held = []
            for holder in look.holders:
                name = self.names.get(holder.pid, "the arena")
                kinds = {
                    "areas and VMAs": holder.mappings,
                    "pages": holder.pins + holder.io_pins,
                    "in hand": holder.hands,
                    "on its way": holder.loans,
                }
                held.append(f"{name}: {', '.join(f'{k} {n}' for k, n in kinds.items() if n)}")
            print(f"    refcount {look.refcount}: {'; '.join(held)}")
        stats = self.arena.stats()
        in_use = sum(info.nr for info in self.arena.objects())
        print(f"    frames: {in_use} in use, {stats.frames_free:,} free")


def main() -> None:
    """Tell the story."""
    context = multiprocessing.get_context("spawn")
    wire, theirs = context.Pipe()
    second = context.Process(target=second_process, args=(theirs,), daemon=True)
    second.start()

    def ask(line: str) -> object:
        wire.send(line)
        return wire.recv()

    with scamem.Arena.create(capacity=64 << 20) as arena:
        own = multiprocessing.current_process().pid or 0
        story = Narrator(arena, {own: "first process", second.pid or 0: "second process"})

        area = vmalloc(arena, 16 * PAGE)
        look = area.scamem  # a look holds no reference
        story.tell(
            "first:  area = vmalloc(arena, 16 * PAGE)",
            "The vm_struct is the one reference. Its pages need not lie side by side.",
            look,
        )
        wire.send(area)
        wire.recv()
        story.tell(
            "first:  wire.send(area)",
            "It arrived as its scamem, by handle. No byte was copied. It is one reference in hand.",
            look,
        )
        ask("map")
        story.tell(
            "second: vma = remap_vmalloc_range(area); area.close(); vma.view()[4 * PAGE] = 42",
            "A mapping is a reference, in any process. The reference in hand is released.",
            look,
        )
        print(f"    first:  area.view()[4 * PAGE] is {area.view()[4 * PAGE]}")

        ask("pin")
        story.tell(
            "second: pages = pin_user_pages(vma, 4, 8)",
            "GUP: each page is a reference on the whole scamem, not on itself.",
            look,
        )
        wire.send("hand on")
        pages = wire.recv()
        story.tell(
            "second: wire.send(pages)",
            "Pages can be passed on, as in a driver's queue. This process holds eight.",
            look,
        )
        page = pages[0]
        assert page_to_scamem(page) == look
        print(
            f"    first:  page {page.pfn:#x} -> {page_to_scamem(page)}, node {page_to_nid(page)}, "
            f"zone {page_zone(page)}, section {page_to_section(page)}"
        )
        print("    page -> scamem: the page's word names an object and its generation;")
        print("    node, zone and section come from its number, by a table of sections.")

        vfree(area)
        story.tell(
            "first:  vfree(area)",
            "The vm_struct is gone. Its scamem is not: it is freed at zero.",
            look,
        )
        ask("unmap a hole")
        story.tell(
            "second: munmap(vma, 6, 2)",
            "The VMA splits, and the new one takes a reference. The pages in the hole stay pinned.",
            look,
        )
        ask("unmap the rest")
        story.tell(
            "second: munmap(the parts)",
            "Nothing maps it any more. GUP needs no VMA, and neither does unpinning.",
            look,
        )
        second.kill()
        second.join()
        story.tell(
            "kill -9 second",
            "It unpinned nothing. The next look finds it dead, and releases what it held.",
            look,
        )
        unpin_user_pages(pages[1:])
        story.tell(
            "first:  unpin_user_pages(pages[1:])",
            "One page is left, and so are all sixteen frames: the scamem is freed as a whole.",
            look,
        )
        unpin_user_pages(pages[:1])
        story.tell(
            "first:  unpin_user_pages(pages[:1])",
            "Zero. Now, and not before, the frames come back.",
            look,
        )
        print(f"\n{arena.stats().objects} objects left")


if __name__ == "__main__":
    main()
