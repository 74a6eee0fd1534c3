"""/proc/vmallocinfo: lines read, and printed in the very form in which they were read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..structs import PAGE_SIZE

# mm/vmalloc.c prints the words in this order
KIND_WORDS = ("ioremap", "sparse", "vmalloc", "vmap", "user", "dma-coherent", "vpages")

_LINE = re.compile(r"^0x(?P<start>[0-9a-f]+)-0x(?P<end>[0-9a-f]+) (?P<size> *\d+)(?P<rest>.*)$")
_NODE = re.compile(r"^N(\d+)=(\d+)$")


@dataclass(frozen=True, slots=True)
class AreaLine:
    """One line: an area, a vm_map_ram block, or addresses that are freed but not yet purged.

    Addresses are as printed: hashed by %pK unless the kernel was told otherwise. `size` is
    in bytes and includes the guard page.
    """

    start: str
    end: str
    size: int
    caller: str = ""
    pages: int | None = None
    phys: str | None = None
    words: tuple[str, ...] = ()
    nodes: tuple[tuple[int, int], ...] = field(default=())
    other: str = ""
    """A line of another kind: "vm_map_ram" or "unpurged vm_area"."""

    @property
    def live(self) -> bool:
        """Whether anybody uses it: unpurged lines are lazily freed addresses."""
        return self.other != "unpurged vm_area"

    @property
    def user_mappable(self) -> bool:
        """VM_USERMAP or VM_DMA_COHERENT, which remap_vmalloc_range() demands."""
        return "user" in self.words or "dma-coherent" in self.words

    @property
    def function(self) -> str:
        """The caller's name without offset."""
        return self.caller.partition("+")[0]

    def format(self) -> str:
        """The line as the kernel prints it, without the newline."""
        line = f"0x{self.start}-0x{self.end} {self.size:7d}"
        if self.other:
            return f"{line} {self.other}"
        if self.caller:
            line += f" {self.caller}"
        if self.pages is not None:
            line += f" pages={self.pages}"
        if self.phys is not None:
            line += f" phys={self.phys}"
        line += "".join(f" {word}" for word in self.words)
        return line + "".join(f" N{node}={count}" for node, count in self.nodes)


def parse_line(text: str) -> AreaLine:
    """Read one line.

    Raises
    ------
    ValueError : it is not a line of /proc/vmallocinfo.
    """
    match = _LINE.match(text.rstrip("\n"))
    if not match:
        raise ValueError(f"not a line of /proc/vmallocinfo: {text!r}")
    start, end, size = match["start"], match["end"], int(match["size"])
    rest = match["rest"].strip()
    if rest in ("vm_map_ram", "unpurged vm_area"):
        return AreaLine(start, end, size, other=rest)
    caller, pages, phys = "", None, None
    words: list[str] = []
    nodes: list[tuple[int, int]] = []
    for token in rest.split():
        node = _NODE.match(token)
        if node:
            nodes.append((int(node[1]), int(node[2])))
        elif token.startswith("pages="):
            pages = int(token[6:])
        elif token.startswith("phys="):
            phys = token[5:]
        elif token in KIND_WORDS:
            words.append(token)
        else:  # "%pS" adds a module's name: caller+0x1/0x2 [module]
            caller = f"{caller} {token}".strip()
    return AreaLine(start, end, size, caller, pages, phys, tuple(words), tuple(nodes))


def parse(lines: Iterable[str]) -> list[AreaLine]:
    """Read all lines."""
    return [parse_line(line) for line in lines if line.strip()]


KMEM_HEADER = "   VMAP_AREA         VM_STRUCT                 ADDRESS RANGE                SIZE"


def kmem_row(area: AreaLine, vmap_area: str = "", vm_struct: str = "") -> str:
    """An area in the columns of crash's `kmem -v`; unknown addresses are dashes."""
    unknown = "-" * 16
    first, second = vmap_area or unknown, vm_struct or unknown
    return f"{first}  {second}  {area.start:>16} - {area.end:>16}  {area.size:>7}"


@dataclass(frozen=True, slots=True)
class CallerSum:
    """What one caller has."""

    caller: str
    areas: int
    pages: int
    user_mappable: int


def by_caller(areas: Iterable[AreaLine]) -> list[CallerSum]:
    """Live areas summed by the function that made them, most pages first."""
    sums: dict[str, list[int]] = {}
    for area in areas:
        if not area.live:
            continue
        row = sums.setdefault(area.function or area.other or "?", [0, 0, 0])
        row[0] += 1
        row[1] += area.pages or 0
        row[2] += area.user_mappable
    rows = [CallerSum(name, *values) for name, values in sums.items()]
    return sorted(rows, key=lambda row: (-row.pages, -row.areas, row.caller))


def mapped_bytes(area: AreaLine) -> int:
    """Bytes of an area without its guard page."""
    return max(area.size - PAGE_SIZE, 0)
