"""The kernel's own names over an arena, so that the linux-mm mail about scamems can be run.

    area = vmalloc(arena, 100_000)          # one scamem; the area is its one reference
    vma = remap_vmalloc_range(area)         # a mapping: one more
    pages = pin_user_pages(vma, 4, 8)       # GUP: one for each page
    vfree(area); munmap(vma)                # the scamem stays
    unpin_user_pages(pages)                 # its count is zero: the frames are free

The counts are the mail's. A `vm_struct` is exactly one reference on its scamem, a VMA is one on
each scamem that it shows, and a page from GUP is one on its scamem. The scamem is freed when its
count is zero, not with its vm_struct. Looks (`area.scamem`, `page_to_scamem`, `vmalloc_to_page`,
`area.pages`) hold no reference.

Four things differ from the kernel, because this is a library in a process. Errors are exceptions,
and leave nothing half done. References belong to the process that took them, and end with it,
however it dies. A Python object that is dropped without vfree(), munmap() or put_page() drops its
references. Memory is not unmapped while buffers over it are in use.

Sizes and offsets are bytes; `start`, `nr` and `pgoff` are pages of 4,096 bytes.
"""

from .areas import (
    find_vm_area,
    get_vm_area_size,
    is_vmalloc_addr,
    vfree,
    vm_struct,
    vmalloc,
    vmalloc_node,
    vmalloc_to_page,
    vmalloc_to_pfn,
    vmap,
    vunmap,
    vzalloc,
)
from .looks import ScamemLook, page_count, page_to_scamem
from .mappings import (
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    find_vma,
    get_user_pages,
    munmap,
    pin_user_pages,
    remap_vmalloc_range,
    vm_area_struct,
    vma_lookup,
    vma_pages,
)
from .pages import (
    Page,
    alloc_page,
    alloc_pages,
    free_page,
    free_pages,
    get_page,
    kmap_local_page,
    kunmap_local,
    page_address,
    page_to_nid,
    page_to_pfn,
    page_to_section,
    page_zone,
    pfn_to_page,
    pfn_valid,
    put_page,
    release_pages,
    unpin_user_page,
    unpin_user_pages,
)

__all__ = [
    "VM_READ",
    "VM_SHARED",
    "VM_WRITE",
    "Page",
    "ScamemLook",
    "alloc_page",
    "alloc_pages",
    "find_vm_area",
    "find_vma",
    "free_page",
    "free_pages",
    "get_page",
    "get_user_pages",
    "get_vm_area_size",
    "is_vmalloc_addr",
    "kmap_local_page",
    "kunmap_local",
    "munmap",
    "page_address",
    "page_count",
    "page_to_nid",
    "page_to_pfn",
    "page_to_scamem",
    "page_to_section",
    "page_zone",
    "pfn_to_page",
    "pfn_valid",
    "pin_user_pages",
    "put_page",
    "release_pages",
    "remap_vmalloc_range",
    "unpin_user_page",
    "unpin_user_pages",
    "vfree",
    "vm_area_struct",
    "vm_struct",
    "vma_lookup",
    "vma_pages",
    "vmalloc",
    "vmalloc_node",
    "vmalloc_to_page",
    "vmalloc_to_pfn",
    "vmap",
    "vunmap",
    "vzalloc",
]
