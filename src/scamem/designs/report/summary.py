"""The first screen of `scamem designs`: what was asked, what a booted kernel showed, who survives.

Every figure is read from a recorded run or counted from the verdicts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..booted import Run, compare
from ..design import Design
from ..verdicts import Verdict

QUESTION = (
    "The mail (linux-mm, 6 Dec 2024): vmalloc memory is mapped to users and pinned, page by page.",
    "When struct page shrinks to 8 bytes, what holds the count, and where are node and zone?",
)


def findings(run: Run) -> list[str]:
    """What the boots of the patched kernel showed, a line each."""
    compared = compare(run)
    agree = sum(cell.agree for cell in compared)
    version = re.search(r"version (\S+)", run.kernel)
    name = f"Linux {version[1]}" if version else run.kernel
    lines = [
        f"{name}, patched (kernel/), booted as {', '.join(run.boots)} ({run.accelerator}):",
        f"- model and kernel agree in {agree} of {len(compared)} cells; the others are explained",
        *_pins(run),
        *_words(run),
        *_harms(run),
    ]
    return [line for line in lines if line]


def _pins(run: Run) -> list[str]:
    held = {
        mode: boot.facts["vfree-while-pinned"]
        for mode, boot in run.boots.items()
        if "vfree-while-pinned" in boot.facts
    }
    frames = ", ".join(f"{mode} {facts['held']}" for mode, facts in held.items())
    kept = [mode for mode, facts in held.items() if facts["area_left"]]
    told = f"; addresses stay with {', '.join(kept)}" if kept else ""
    return [f"- one pinned page of 17 keeps frames: {frames}{told}"]


def _words(run: Run) -> list[str]:
    """The mail's "look up the page's pfn in some data structure"."""
    lines = []
    for boot in run.boots.values():
        text = "\n".join(boot.state)
        freed = re.search(r"free (\d+) reconstructed (\d+) wrong", text)
        asked = re.search(r"word (\d+) asked (\d+) wrong (\d+) probes \d+ cycles: 4c", text)
        searched = re.search(r"word (\d+) asked \d+ wrong (\d+) probes \d+ cycles: 4a", text)
        if not (freed and asked and searched):
            continue
        rows = sum(line.startswith("range ") for line in boot.state)
        each = int(searched[2]) / int(searched[1])
        told = f"{int(freed[1]):,} pages freed, {freed[2]} wrong"
        live = f"{int(asked[1]):,} questions about live pages, {asked[2]} wrong"
        lines.append(f"- node and zone by pfn, {rows} ranges: {told}; {live};")
        lines.append(f"  by the object's flags[] the same, after {each:.0f} entries searched each")
    return lines


def _harms(run: Run) -> list[str]:
    by_mode = run.boots.items()
    leaks = [m for m, b in by_mode if b.facts.get("poison-mapped", {}).get("held_after", 0) > 1]
    full = [m for m, b in by_mode if b.facts.get("overflow", {}).get("count_negative")]
    freed = [
        mode
        for mode, boot in by_mode
        if boot.facts.get("walker-without-grace", {}).get("found_freed")
        or boot.trouble.get("walker-without-grace")
    ]
    return [
        f"- a memory error in one page keeps all 17 for good: {', '.join(leaks)}" if leaks else "",
        f"- 2^31 references wrap the shared count: {', '.join(full)}" if full else "",
        f"- freed without a grace period, a walker finds it freed: {', '.join(freed)}"
        if freed
        else "",
    ]


def survivors(designs: Sequence[Design], cells: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """A row a design: name, what it is, passes, and the paths on which it harms or refuses."""
    rows: list[tuple[str, ...]] = []
    for design in designs:
        mine = [cell for cell in cells if cell.design == design.name]
        passed = sum(cell.verdict == "pass" for cell in mine)
        harms = dict.fromkeys(cell.path for cell in mine if cell.harms)
        refuses = dict.fromkeys(
            cell.path for cell in mine if cell.verdict == "fail" and not cell.harms
        )
        rows.append(
            (
                design.name,
                design.title,
                f"{passed}/{len(mine)}",
                " ".join(harms),
                " ".join(path for path in refuses if path not in harms),
            )
        )
    return rows
