"""P13, P15, P16, P17, P23, P27: node, zone and section, and the size of what is kept."""

from __future__ import annotations

from ..catalogue import Today
from ..design import Design
from ..scenario import Scenario
from ..steps import (
    all_free,
    exits,
    folio,
    free_folio,
    kexec,
    metadata_no_worse_than_today,
    mmap,
    nodes_known,
    pfns_known,
    vfree,
    vmalloc,
)
from ..topology import Topology, highmem_machine, model_machine
from ..verdicts import NotApplicableError

TWO_NODES = ((0, "Normal"), (1, "Normal"))
MANY_PLACES = ((0, "DMA32"), (0, "Normal"), (1, "Normal"))


def sparse(design: Design) -> Topology:
    """SPARSEMEM without VMEMMAP, except where the design has no struct page at all."""
    if design.rules.pure_sections:
        raise NotApplicableError("a frame is known by its pfn; there is no struct page")
    return model_machine("sparse")


def highmem(design: Design) -> Topology:
    """32 bits with HighMem, for designs of a kernel."""
    if design.rules.pure_sections:
        raise NotApplicableError("the arena is for 64-bit machines")
    return highmem_machine()


PLACES = (
    Scenario(
        "node-of-live-page",
        "P13",
        "page_to_nid() of a mapped page (vmallocinfo's N0=, NR_VMALLOC, move_pages)",
        (vmalloc("A", 6, where=TWO_NODES), mmap("p1", "A"), nodes_known("A")),
    ),
    Scenario(
        "free-across-zones",
        "P15",
        "an object over three zones is freed to the right lists",
        (vmalloc("A", 9, where=MANY_PLACES), vfree("A"), all_free()),
    ),
    Scenario(
        "folio-and-slab-freed",
        "P15",
        "a folio and a slab keep node, zone and section once, and copy them back on free",
        (folio("F", 8), folio("S", 4), free_folio("F"), free_folio("S"), all_free()),
    ),
    Scenario(
        "sparse-without-vmemmap",
        "P16",
        "page_to_pfn() needs the section, and the section needs the pfn",
        (vmalloc("A", 4, where=TWO_NODES), pfns_known("A"), vfree("A"), all_free()),
        topology=sparse,
    ),
    Scenario(
        "metadata-of-4096-pages",
        "P17",
        "16 MiB: the page list is larger than a page",
        (metadata_no_worse_than_today("A", 4096, Today()),),
    ),
    Scenario(
        "metadata-of-512-pages",
        "P17",
        "2 MiB, the size of a bpf_prog_pack: today's page list is exactly a page",
        (metadata_no_worse_than_today("A", 512, Today()),),
    ),
    Scenario(
        "highmem-32-bit",
        "P23",
        "a 32-bit word, and frames of HighMem",
        (
            vmalloc("A", 4, where=((0, "Normal"), (0, "HighMem"))),
            mmap("p1", "A"),
            exits("p1"),
            vfree("A"),
            all_free(),
        ),
        topology=highmem,
    ),
    Scenario(
        "next-kernel",
        "P27",
        "kexec handover: the next kernel asks for the node of a restored page",
        (vmalloc("A", 4, where=TWO_NODES), kexec("A"), nodes_known("A"), vfree("A"), all_free()),
    ),
)
