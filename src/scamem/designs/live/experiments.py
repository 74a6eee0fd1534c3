"""The two experiments: a BPF array map (vmalloc, mapped, pinned), and a perf buffer (PFNMAP).

Each step is noted with what the kernel shows of every frame, in page-types' letters. Frames
of the kernel's own are never written; at most some MiB are taken, and all is given back.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..kernel.pages import PageState, flag_letters, frames_of, page_states, runs, well_known
from ..kernel.vmallocinfo import AreaLine, parse
from .syscalls import Mapping, bpf_array, mapping, perf_event, vmsplice

PAGES = 16
PINNED = 3
SIGN = b"scattered memory"
GONE_WAIT_S = 3.0
CHURN_MAPS, CHURN_PAGES = 24, 128


@dataclass(slots=True)
class Note:
    """What was done, what came of it, and the frames as they then were."""

    step: str
    lines: list[str] = field(default_factory=list)
    frames: list[PageState] = field(default_factory=list)


@dataclass(slots=True)
class Experiment:
    """An experiment's notes and what it found."""

    name: str
    notes: list[Note] = field(default_factory=list)
    findings: dict[str, object] = field(default_factory=dict)

    def note(self, step: str, *lines: str, pfns: list[int] | None = None) -> None:
        """Add a note, with the state of frames."""
        states = page_states(pfns) if pfns else []
        self.notes.append(Note(step, list(lines), states))

    def format(self) -> list[str]:
        """The notes as text: letters and map counts, equal neighbours joined."""
        lines = [f"== {self.name}"]
        for number, note in enumerate(self.notes, 1):
            lines.append(f"{number}. {note.step}")
            lines += [f"   {line}" for line in note.lines]
            lines += [f"   {text}" for text in _grouped(note.frames)]
        lines += [f"-> {name}: {value}" for name, value in self.findings.items()]
        return lines


def _grouped(frames: list[PageState]) -> list[str]:
    """Frames of the same state on one line, pfns in hex as page-types prints them."""
    groups: dict[tuple[int, int], list[int]] = {}
    for state in frames:
        groups.setdefault((well_known(state.flags), state.mapcount), []).append(state.pfn)
    lines = []
    for (flags, mapcount), pfns in groups.items():
        shown = " ".join(f"{pfn:x}" for pfn in pfns)
        lines.append(f"{flag_letters(flags)} mapcount {mapcount}: {len(pfns)} frames: {shown}")
    return lines


def bpf_areas() -> list[AreaLine]:
    """Areas of BPF array maps that user space may map."""
    with open("/proc/vmallocinfo") as file:
        areas = parse(file)
    return [a for a in areas if a.live and a.user_mappable and "array_map_alloc" in a.caller]


def bpf_array_experiment() -> Experiment:
    """Path P2 on the running kernel: map twice, pin, unmap all, close, unpin.

    Raises
    ------
    PermissionError : without root (CAP_BPF, and frames are hidden in pagemap).
    OSError : the kernel has no BPF, no kpageflags, or refuses a step.
    """
    found = Experiment("BPF array map: vmalloc pages, mapped twice, pinned by vmsplice")
    before = {area.start for area in bpf_areas()}
    covers: list[_Cover] = []
    reader, writer = os.pipe()
    try:
        covers.append(_Cover())
        descriptor = bpf_array(PAGES)
        try:
            pfns, starts = _map_and_pin(found, descriptor, writer, before)
        finally:
            os.close(descriptor)
        _after_close(found, pfns, starts, covers[0])
        covers.append(_Cover())
        _read_back(found, reader, pfns, covers[1])
    finally:
        for cover in covers:
            cover.free()
        os.close(reader)
        os.close(writer)
    return found


def _map_and_pin(
    found: Experiment, descriptor: int, writer: int, before: set[str]
) -> tuple[list[int], set[str]]:
    new = [area for area in bpf_areas() if area.start not in before]
    found.note("BPF_MAP_CREATE, array of 16 pages, BPF_F_MMAPABLE", *[a.format() for a in new])
    with mapping(descriptor, PAGES) as first:
        first.touch()
        pfns = frames_of(first.address, PAGES)
        if not all(pfns):
            raise PermissionError("pagemap hides the frames: root is needed")
        pieces = runs(pfns)
        found.findings["runs of the 16 frames"] = len(pieces)
        found.note("mapped once", f"{len(pieces)} runs", pfns=pfns)
        with mapping(descriptor, PAGES) as second:
            second.touch()
            found.note("mapped twice", pfns=pfns)
            second.write(PINNED * mmap.PAGESIZE, SIGN)
            vmsplice(writer, second.address + PINNED * mmap.PAGESIZE, mmap.PAGESIZE)
            found.note(f"page {PINNED} ({pfns[PINNED]:x}) put into a pipe by vmsplice (GUP)")
    found.note("both mappings unmapped", pfns=pfns)
    return pfns, {area.start for area in new}


def _after_close(found: Experiment, pfns: list[int], starts: set[str], cover: _Cover) -> None:
    gone = _wait(lambda: not starts & {area.start for area in bpf_areas()})
    found.findings["area gone from vmallocinfo after close, pin still there"] = gone
    found.note(
        "map closed; no VMA, no area, no file is left of it",
        f"area gone from /proc/vmallocinfo: {'yes' if gone else 'no'}",
        pfns=pfns,
    )
    again = frames_given_again(set(pfns), cover)
    found.findings["frames given to other maps while one is pinned"] = len(again)
    found.findings["the pinned frame among them"] = pfns[PINNED] in again


def _read_back(found: Experiment, reader: int, pfns: list[int], cover: _Cover) -> None:
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})  # the frame goes to this CPU's list, where we look first
    try:
        data = os.read(reader, mmap.PAGESIZE)
        cover.free()
    finally:
        os.sched_setaffinity(0, cpus)
    intact = data.startswith(SIGN)
    found.findings["pinned page intact when read from the pipe"] = intact
    found.note("pipe read: the last reference goes with a page and nothing else", pfns=pfns)
    again = frames_given_again({pfns[PINNED]}, cover)
    found.findings["the pinned frame given again after the pipe was read"] = bool(again)


def frames_given_again(wanted: set[int], cover: _Cover) -> set[int]:
    """Which of some frames the page allocator hands out again, asked by making other maps."""
    cover.free()
    seen: set[int] = set()
    cpus = os.sched_getaffinity(0)
    with ExitStack() as held:
        held.callback(os.sched_setaffinity, 0, cpus)
        for number in range(CHURN_MAPS):  # freed frames wait on lists of the CPU that freed them
            os.sched_setaffinity(0, {sorted(cpus)[number % len(cpus)]})
            descriptor = bpf_array(CHURN_PAGES)
            held.callback(os.close, descriptor)
            view = held.enter_context(mapping(descriptor, CHURN_PAGES))
            view.touch()
            seen |= wanted & set(frames_of(view.address, CHURN_PAGES))
            if seen == wanted:
                break
    return seen


class _Cover:
    """A page of our own, to be freed on top of the CPU's list after the frames that we watch.

    The first page of a BPF array is its header, which nobody can map: without this the frame
    freed last would become one, and not be seen when it is handed out again.
    """

    def __init__(self) -> None:
        self.ends: tuple[int, ...] = os.pipe()
        os.write(self.ends[1], bytes(mmap.PAGESIZE))

    def free(self) -> None:
        """Give the page back; once."""
        ends, self.ends = self.ends, ()
        for end in ends:
            os.close(end)


def perf_buffer_experiment() -> Experiment:
    """Design 2 as perf has it: PFNMAP, no frames in pagemap, GUP refused.

    Raises
    ------
    OSError : perf events are not permitted or not there.
    """
    found = Experiment("perf buffer: VM_PFNMAP since 6.14")
    descriptor = perf_event()
    try:
        with mapping(descriptor, 1 + 8) as view:
            view.touch()
            flags, rss = _smaps(view.address)
            pfns = [pfn for pfn in frames_of(view.address, 9) if pfn]
            found.note("ring buffer of 1 + 8 pages mapped", f"VmFlags: {flags}", f"Rss: {rss} kB")
            found.findings["VM_PFNMAP (pf in VmFlags)"] = "pf" in flags.split()
            found.findings["Rss of the mapping, kB"] = rss
            found.findings["frames in pagemap"] = len(pfns)
            found.findings["GUP"] = _gup(view)
            found.note("vmsplice of one page", str(found.findings["GUP"]))
    finally:
        os.close(descriptor)
    return found


def _gup(view: Mapping) -> str:
    reader, writer = os.pipe()
    try:
        vmsplice(writer, view.address + mmap.PAGESIZE, mmap.PAGESIZE)
        return "taken"
    except OSError as error:
        return f"refused: {error.strerror}"
    finally:
        os.close(reader)
        os.close(writer)


def _smaps(address: int) -> tuple[str, int]:
    """VmFlags and Rss (kB) of the mapping at an address."""
    flags, rss, inside = "", 0, False
    with open("/proc/self/smaps") as file:
        for line in file:
            head = line.split(maxsplit=1)[0]
            if "-" in head and not head.endswith(":"):
                inside = int(head.split("-")[0], 16) == address
            elif inside and head == "Rss:":
                rss = int(line.split()[1])
            elif inside and head == "VmFlags:":
                flags = line.partition(":")[2].strip()
    return flags, rss


def _wait(condition: Callable[[], bool]) -> bool:
    """Look until something holds: maps are freed by a kernel worker, a moment after close."""
    end = time.monotonic() + GONE_WAIT_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


EXPERIMENTS = (bpf_array_experiment, perf_buffer_experiment)
