"""A machine's memory as far as its kernel tells: read live, recorded, or loaded from a file."""

from __future__ import annotations

import gzip
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import TypeVar

from ..costs import AreaSize
from ..topology import MemoryRange, Topology
from . import allocinfo, btf, memory_map, pages, vmallocinfo
from .memory_map import MemoryBlock, Zone
from .vmallocinfo import AreaLine

FORMAT = 1
WORD_BITS = 64
Value = TypeVar("Value")
VMALLOC_START = 0xFFFFC90000000000  # x86-64 without KASLR


@dataclass(slots=True)
class Layout:
    """Sizes and widths from BTF and the kernel's configuration; None where unseen."""

    struct_page: int | None = None
    vm_struct: int | None = None
    vmap_area: int | None = None
    nr_pageflags: int | None = None
    zones: int | None = None
    nodes_shift: int | None = None
    sparse_vmemmap: bool | None = None
    page_has_memdesc_flags: bool | None = None

    def places_in_flags(self) -> str:
        """Where node and zone lie in page->flags (page-flags-layout.h), "" where that is unseen."""
        if not self.sparse_vmemmap or self.zones is None or self.nodes_shift is None:
            return ""
        zone_bits = (self.zones - 1).bit_length()
        node_from = WORD_BITS - self.nodes_shift
        return (
            f"page->flags: node in {self.nodes_shift} bits from {node_from}, zone in {zone_bits} "
            f"bits from {node_from - zone_bits}, no section (vmemmap)"
        )


@dataclass(slots=True)
class Snapshot:
    """What was seen, and what was not and why."""

    name: str
    kernel: str
    made_up: bool = False
    note: str = ""
    vmallocinfo: list[str] = field(default_factory=list)
    unpurged: int = 0
    zones: list[Zone] = field(default_factory=list)
    ram: list[tuple[int, int]] = field(default_factory=list)
    block_frames: int = 0
    blocks: list[MemoryBlock] = field(default_factory=list)
    page_flags: dict[str, int] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)
    sites: list[str] = field(default_factory=list)
    runs: dict[str, int] = field(default_factory=dict)
    """Runs of an area by its start address, where physical addresses were seen."""
    mappings: list[dict[str, int | str]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    recorded: bool = False
    """Whether it was loaded from a file, rather than read of this machine just now."""

    @property
    def areas(self) -> list[AreaLine]:
        """The lines of /proc/vmallocinfo that are in use."""
        return vmallocinfo.parse(self.vmallocinfo)

    def area_sizes(self) -> list[AreaSize]:
        """Areas that have pages, for costs."""
        return [
            AreaSize(area.pages, self.runs.get(area.start)) for area in self.areas if area.pages
        ]

    def ranges(self) -> list[MemoryRange]:
        """Ranges of one node and zone, cut by RAM and blocks where seen."""
        return memory_map.ranges(self.zones, self.ram, self.block_frames, self.blocks)

    def topology(self) -> Topology:
        """The machine for lookup tables. Raises ValueError if no zone was seen."""
        found = self.ranges()
        if not found:
            raise ValueError(f"snapshot {self.name} has no zones; /proc/zoneinfo was not read")
        return Topology(tuple(found), section_frames=self.block_frames or 32768)


def read_live() -> Snapshot:
    """Read this machine; without root what is hidden goes into `unseen`, nothing raises."""
    seen = Snapshot(platform.node() or "this machine", f"{platform.release()} {platform.machine()}")
    lines = _try(seen, "/proc/vmallocinfo", _lines) or []
    areas = _try(seen, "lines of /proc/vmallocinfo", lambda _: vmallocinfo.parse(lines)) or []
    seen.vmallocinfo = [area.format() for area in areas if area.live]
    seen.unpurged = sum(not area.live for area in areas)
    seen.zones = memory_map.parse_zoneinfo(_try(seen, "/proc/zoneinfo", _lines) or [])
    seen.ram = memory_map.parse_iomem(_try(seen, "/proc/iomem", _lines) or [])
    if not seen.ram:
        seen.unseen.append("/proc/iomem: addresses hidden; ranges are whole zone spans")
    seen.block_frames, seen.blocks = memory_map.read_blocks(Path("/sys/devices/system/memory"))
    if not seen.blocks:
        seen.unseen.append("/sys/devices/system/memory: no memory blocks (CONFIG_MEMORY_HOTPLUG)")
    flags = _try(seen, "/proc/kpageflags", pages.count_flags) or {}
    seen.page_flags = {f"{value:#x}": count for value, count in sorted(flags.items())}
    _read_layout(seen)
    seen.sites = _try(seen, "/proc/allocinfo", _lines) or []
    seen.mappings = [asdict(row) for row in pages.user_mappings()]
    seen.unseen.append(
        "frames of areas: /proc shows no pfn of a vmalloc page that is not mapped to user space; "
        "runs are of user mappings only"
    )
    return seen


def _read_layout(seen: Snapshot) -> None:
    layout = seen.layout
    found = _try(seen, "/sys/kernel/btf/vmlinux", btf.read)
    if found is not None:
        layout.struct_page = found.sizes.get("page")
        layout.vm_struct = found.sizes.get("vm_struct")
        layout.vmap_area = found.sizes.get("vmap_area")
        layout.nr_pageflags = found.enums.get("__NR_PAGEFLAGS")
        layout.zones = found.enums.get("__MAX_NR_ZONES")
        layout.page_has_memdesc_flags = "memdesc_flags_t" in found.typedefs
    config = _try(seen, "/proc/config.gz", _config) or {}
    if "CONFIG_NODES_SHIFT" in config:
        layout.nodes_shift = int(config["CONFIG_NODES_SHIFT"])
    if config.get("CONFIG_DEFERRED_STRUCT_PAGE_INIT") == "y":
        seen.unseen.append(
            "pages that were never used: CONFIG_DEFERRED_STRUCT_PAGE_INIT fills struct page in "
            "when memory is first needed, so flags of 0 may mean nothing"
        )
    if config:
        layout.sparse_vmemmap = config.get("CONFIG_SPARSEMEM_VMEMMAP") == "y"


def _config(path: str) -> dict[str, str]:
    text = gzip.decompress(Path(path).read_bytes()).decode()
    pairs = (line.partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
    return {name: value for name, _, value in pairs}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _try(seen: Snapshot, path: str, read: Callable[[str], Value]) -> Value | None:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        seen.unseen.append(f"{path}: {reason}")
        return None


def record(seen: Snapshot, path: str | Path) -> None:
    """Write a snapshot as JSON, with a machine's name left out and addresses rebased."""
    data = asdict(seen)
    data["format"] = FORMAT
    del data["recorded"]
    data["vmallocinfo"] = rebased(seen.vmallocinfo)
    data["sites"] = [line for line in seen.sites if allocinfo.parse([line])]
    if not seen.made_up:
        data["name"] = Path(path).stem
    Path(path).write_text(json.dumps(data, indent=1) + "\n")


def rebased(lines: list[str]) -> list[str]:
    """Lines whose kernel addresses, if real, are moved so that they tell no KASLR offset."""
    areas = vmallocinfo.parse(lines)
    real = [int(a.start, 16) for a in areas if len(a.start) == 16 and a.start.startswith("ffff")]
    if not real:
        return lines
    shift = min(real) - VMALLOC_START
    moved = []
    for area, line in zip(areas, lines, strict=True):
        for digits in (area.start, area.end):
            line = line.replace(digits, f"{int(digits, 16) - shift:016x}", 1)
        moved.append(line)
    return moved


def load(path: str | Path) -> Snapshot:
    """Read a recorded snapshot.

    Raises
    ------
    ValueError : it is not one, or of another format.
    """
    try:
        data = json.loads(Path(path).read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not a snapshot: {error}") from error
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is not a snapshot of format {FORMAT}")
    data["zones"] = [Zone(**item) for item in data["zones"]]
    data["blocks"] = [MemoryBlock(**item) for item in data["blocks"]]
    data["ram"] = [(start, end) for start, end in data["ram"]]
    data["layout"] = Layout(**data["layout"])
    data["recorded"] = True
    return Snapshot(**data)


def shipped() -> dict[str, Path]:
    """The snapshots that come with the library, by name."""
    folder = resources.files(__package__.rpartition(".")[0]) / "snapshots"
    return {
        Path(str(item)).stem: Path(str(item))
        for item in folder.iterdir()
        if item.name.endswith(".json")
    }


def find(name: str) -> Snapshot:
    """A shipped snapshot by its name, or one from a file.

    Raises
    ------
    LookupError : neither; names what is shipped.
    """
    known = shipped()
    if name in known:
        return load(known[name])
    if Path(name).is_file():
        return load(name)
    raise LookupError(f"asked for snapshot {name!r}: no such file; shipped: {', '.join(known)}")
