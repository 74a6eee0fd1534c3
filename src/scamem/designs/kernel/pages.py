"""/proc/kpageflags, /proc/kpagecount and /proc/PID/pagemap, in page-types' letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ENTRY_BYTES = 8
PRESENT = 1 << 63
PFN_MASK = (1 << 55) - 1

# tools/mm/page-types.c: letter and long name by KPF bit, of the bits that it shows by default
LETTERS: tuple[tuple[int, str, str], ...] = (
    (0, "L", "locked"),
    (1, "E", "error"),
    (2, "R", "referenced"),
    (3, "U", "uptodate"),
    (4, "D", "dirty"),
    (5, "l", "lru"),
    (6, "A", "active"),
    (7, "S", "slab"),
    (8, "W", "writeback"),
    (9, "I", "reclaim"),
    (10, "B", "buddy"),
    (11, "M", "mmap"),
    (12, "a", "anonymous"),
    (13, "s", "swapcache"),
    (14, "b", "swapbacked"),
    (15, "H", "compound_head"),
    (16, "T", "compound_tail"),
    (17, "G", "huge"),
    (18, "u", "unevictable"),
    (19, "X", "hwpoison"),
    (20, "n", "nopage"),
    (21, "x", "ksm"),
    (22, "t", "thp"),
    (23, "o", "offline"),
    (26, "g", "pgtable"),
    (24, "z", "zero_page"),
    (25, "i", "idle_page"),
    (32, "r", "reserved"),
    (33, "m", "mlocked"),
    (34, "d", "owner_2"),
    (35, "P", "private"),
    (36, "p", "private_2"),
    (37, "O", "owner_private"),
    (38, "h", "arch"),
    (39, "c", "uncached"),
    (40, "f", "softdirty"),
    (41, "H", "arch_2"),
    (47, "d", "anon_exclusive"),
    (48, "I", "readahead"),
    (50, "A", "slub_frozen"),
    (51, "E", "slub_debug"),
    (61, "F", "file"),
    (62, "w", "swap"),
    (63, "1", "mmap_exclusive"),
)
_IN_ORDER = tuple(sorted(LETTERS))
HACKERS_BITS = 0xFFFF << 32
BUDDY, MMAP, NOPAGE = 1 << 10, 1 << 11, 1 << 20


@dataclass(frozen=True, slots=True)
class PageState:
    """A frame as the kernel shows it: KPF flags and map count."""

    pfn: int
    flags: int
    mapcount: int

    @property
    def free(self) -> bool:
        """Whether the frame is seen free: buddy, or nothing known of it at all."""
        return bool(self.flags & BUDDY)

    def __str__(self) -> str:
        return f"{self.pfn:x}\t{flag_letters(self.flags)}\tmapcount {self.mapcount}"


def flag_letters(flags: int) -> str:
    """The symbolic flags of page-types: one letter a bit, underscores for bits not set."""
    return "".join(letter if flags >> bit & 1 else "_" for bit, letter, _ in _IN_ORDER)


def flag_names(flags: int) -> str:
    """The long names, with commas."""
    return ",".join(name for bit, _, name in _IN_ORDER if flags >> bit & 1)


def well_known(flags: int) -> int:
    """Without the bits for kernel hackers, which overlap aliases and are not to be believed."""
    return flags & ~HACKERS_BITS


def read_entries(path: str, indices: Iterable[int]) -> list[int]:
    """The 8-byte entries at given indices.

    Raises
    ------
    OSError : as the file does.
    IndexError : the file ends before that entry; names it.
    """
    found = []
    with Path(path).open("rb", buffering=0) as file:
        for index in indices:
            file.seek(index * ENTRY_BYTES)
            entry = file.read(ENTRY_BYTES)
            if len(entry) != ENTRY_BYTES:
                raise IndexError(f"{path} has no entry {index:#x}: it ends before that")
            found.append(int.from_bytes(entry, "little"))
    return found


def page_states(pfns: Sequence[int]) -> list[PageState]:
    """Flags and map counts of frames (root)."""
    flags = read_entries("/proc/kpageflags", pfns)
    counts = read_entries("/proc/kpagecount", pfns)
    return [PageState(*row) for row in zip(pfns, flags, counts, strict=True)]


def frames_of(address: int, pages: int, page_bytes: int = 4096, pid: str = "self") -> list[int]:
    """Frames behind a user range; 0 where there is none, or where pagemap hides it."""
    first = address // page_bytes
    entries = read_entries(f"/proc/{pid}/pagemap", range(first, first + pages))
    return [entry & PFN_MASK if entry & PRESENT else 0 for entry in entries]


def count_flags(path: str = "/proc/kpageflags", batch: int = 1 << 20) -> dict[int, int]:
    """How many frames have each combination of (well-known) flags; the whole file, in batches."""
    totals: dict[int, int] = {}
    with Path(path).open("rb", buffering=0) as file:
        while True:
            data = file.read(batch * ENTRY_BYTES)
            if not data:
                return totals
            words: NDArray[np.uint64] = np.frombuffer(data, dtype="<u8")
            values, counts = np.unique(
                words & np.uint64(~HACKERS_BITS & (1 << 64) - 1), return_counts=True
            )
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                totals[value] = totals.get(value, 0) + count


class Run(NamedTuple):
    """Frames that are neighbours in memory, upwards (step 1) or downwards (-1)."""

    first: int
    length: int
    step: int = 1

    def frames(self) -> list[int]:
        """The frames, in the order in which they were mapped."""
        return [self.first + self.step * i for i in range(self.length)]


def runs(frames: Sequence[int]) -> list[Run]:
    """Frames in mapping order as runs of neighbours.

    The allocator hands out the pages of a block from either end, so a run may go down.
    """
    found: list[Run] = []
    for pfn in frames:
        last = found[-1] if found else None
        if last and last.length == 1 and abs(pfn - last.first) == 1:
            found[-1] = Run(last.first, 2, pfn - last.first)
        elif last and last.length > 1 and pfn == last.first + last.step * last.length:
            found[-1] = Run(last.first, last.length + 1, last.step)
        else:
            found.append(Run(pfn, 1))
    return found


# names in /proc/PID/maps behind which there is kernel memory given to a process
_KERNEL_MEMORY = (
    "anon_inode:bpf-map",
    "anon_inode:[perf_event]",
    "anon_inode:[io_uring]",
    "socket:[",
    "/dev/snd/",
    "/dev/video",
    "/dev/kcov",
)


@dataclass(frozen=True, slots=True)
class UserMapping:
    """Kernel memory seen in a process: what of, how many pages, in how many runs."""

    pid: int
    name: str
    pages: int
    present: int
    runs: int


def user_mappings() -> list[UserMapping]:
    """All of them on this machine, as far as /proc/PID may be read."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            lines = (proc / "maps").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            fields = line.split(maxsplit=5)
            if len(fields) < 6 or not any(fields[5].startswith(n) for n in _KERNEL_MEMORY):
                continue
            start, end = (int(part, 16) for part in fields[0].split("-"))
            pages = (end - start) // 4096
            try:
                frames = [pfn for pfn in frames_of(start, pages, pid=proc.name) if pfn]
            except (OSError, IndexError):
                frames = []
            row = UserMapping(int(proc.name), fields[5], pages, len(frames), len(runs(frames)))
            found.append(row)
    return found
