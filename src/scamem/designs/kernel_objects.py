"""The things that a kernel's paths handle: counted objects, areas, files, VMAs, page tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from .rules import ObjectMemory
from .topology import ZONES
from .verdicts import BrokenError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame belongs."""

    node: int
    zone: str
    section: int

    def __str__(self) -> str:
        return f"node {self.node} zone {self.zone} section {self.section}"


@dataclass(eq=False, slots=True)
class Counted:
    """Anything with a reference count: a scamem, a choir, vm_struct, a page's memdesc, a folio."""

    name: str
    address: int
    refcount: int
    frames: tuple[int, ...]
    """All frames that it covers; what *it* lists is up to the design."""
    memory: ObjectMemory
    places: tuple[Place, ...] = ()
    live: bool = True
    charged: int = 0
    poisoned: set[int] = field(default_factory=set)
    foreign: bool = False
    area: Area | None = None


@dataclass(eq=False, slots=True)
class Area:
    """vm_struct: addresses, and one reference to what is mapped there."""

    name: str
    frames: tuple[int, ...]
    held: Counted | None = None
    mapped: bool = True
    """Whether the kernel addresses are still taken."""
    has_list: bool = True
    """Whether vm_struct->pages is still there."""
    user_mappable: bool = True
    stack: bool = False
    foreign: bool = False
    put_pages: bool = False
    source: Area | None = None
    """The object whose frames a vmap() shows."""
    charged: int = 0
    gone: bool = False


@dataclass(eq=False, slots=True)
class File:
    """An open file of a driver; its release frees the driver's areas."""

    name: str
    areas: tuple[str, ...]
    references: int = 1
    private_data: object | None = None


@dataclass(eq=False, slots=True)
class Vma:
    """vm_area_struct."""

    start: int
    end: int
    file: File | None = None
    private_data: object | None = None
    own_field: object | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pte:
    """A page table entry; a special one hides that there is a struct page."""

    pfn: int
    special: bool


@dataclass(eq=False, slots=True)
class Mm:
    """A process's address space; addresses are page numbers."""

    name: str
    vmas: list[Vma] = field(default_factory=list)
    ptes: dict[int, Pte] = field(default_factory=dict)

    def vma(self, address: int) -> Vma:
        """The VMA over an address (find_vma())."""
        for vma in self.vmas:
            if vma.start <= address < vma.end:
                return vma
        raise BrokenError("wrong answer", f"{self.name} has no VMA at {address}")


@dataclass(frozen=True, slots=True, eq=False)
class Pin:
    """A frame held by GUP; the holder keeps the page and nothing else."""

    name: str
    pfn: int


def zone_name(index: int) -> str:
    """A zone's name."""
    return ZONES[index]
