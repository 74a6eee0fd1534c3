"""What a booted kernel did, scenario by scenario, beside what the model says.

`kernel/` patches Linux, boots it and records facts: counts, frames held, data read. Here those
facts become verdicts of the same kinds as the model's, and each difference has its reason.
Nothing here runs a kernel; the recorded runs are JSON files beside this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from .catalogue import booted
from .scenarios import scenario
from .verdicts import LETTERS, Kind, Verdict

FORMAT = 1
AREA_PAGES = 17
MAPPED_PAGES = 16
Facts = Mapping[str, int]
Found = Kind | None
"""The kind of a failure, None for a pass."""


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot: facts by scenario, who asked for counts, and what the kernel complained of."""

    mode: str
    facts: dict[str, dict[str, int]]
    asked: dict[str, list[tuple[str, int, str]]]
    """By scenario: why a count was wanted, how often, and by which function."""
    trouble: dict[str, list[str]]
    state: list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """All boots of one kernel."""

    kernel: str
    accelerator: str
    boots: dict[str, Boot]


@dataclass(frozen=True, slots=True)
class Act:
    """A scenario of the booted kernel: which of the model's it acts out, and how it is judged."""

    scenario: str
    facts_of: str
    judge: Callable[[Facts, Facts], Found]
    """Given the facts, and today's facts of the same scenario."""
    answers: tuple[tuple[str, str], ...] = ()
    """Answers of the design that are changed for this one."""
    stress: bool = False

    @property
    def name(self) -> str:
        """The scenario, and what was changed for it."""
        return self.scenario + "".join(f", {rule}={value}" for rule, value in self.answers)


@dataclass(frozen=True, slots=True)
class Compared:
    """One cell of the table."""

    act: Act
    mode: str
    model: Verdict
    kernel: str
    """A letter as in the model's table; "-" where the boot has no such object."""
    why: str = ""
    """Why they differ, where they do."""

    @property
    def agree(self) -> bool:
        """Whether model and kernel end alike."""
        return self.model.mark == self.kernel


def _left(facts: Facts) -> Found:
    left = facts.get("left_objects", 0) or facts.get("left_frames", 0)
    return "leak" if left or facts.get("left_of_second", 0) else None


def _all(*names: str) -> Callable[[Facts, Facts], Found]:
    """Every fact of these must be 1, and nothing may be left."""

    def judge(facts: Facts, _: Facts) -> Found:
        if all(facts[name] == 1 for name in names):
            return _left(facts)
        return "unsupported"

    return judge


def _count_again(*names: str) -> Callable[[Facts, Facts], Found]:
    def judge(facts: Facts, today: Facts) -> Found:
        if facts["count_again"] not in (1, -1):  # -1: no object, so no count to compare
            return "leak"
        return _all(*names)(facts, today)

    return judge


def _area_returned(facts: Facts, _: Facts) -> Found:
    return "held too much" if facts["area_left"] else _left(facts)


def _one_frame(facts: Facts, _: Facts) -> Found:
    return "held too much" if facts["held"] > 1 else _left(facts)


def _readable(facts: Facts, _: Facts) -> Found:
    return _left(facts) if facts["pages_readable"] == AREA_PAGES else "use after free"


def _charged(facts: Facts, _: Facts) -> Found:
    return "undercharged" if facts["charged_while_pinned"] < facts["held"] else _left(facts)


def _object(facts: Facts, _: Facts) -> Found:
    return _left(facts) if facts["object"] else "unsupported"


def _folio(facts: Facts, _: Facts) -> Found:
    intact = facts["folio_count"] == 1 and not facts.get("vmalloc_used_drift", 0)
    return _left(facts) if intact else "leak"


def _nodes(facts: Facts, _: Facts) -> Found:
    for source in ("", "move_pages_", "vmallocinfo_"):
        if (facts[f"{source}node0"], facts[f"{source}node1"]) != (32, 32):
            return "wrong node"
    return "wrong zone" if facts["disagree"] else _left(facts)


def _places(facts: Facts, _: Facts) -> Found:
    """Free pages of a node drift by some hundred while others allocate."""
    for node in ("node0", "node1"):
        if facts[f"missing_{node}"] > facts[f"taken_{node}"] // 2:
            return "wrong node"
    return _left(facts)


def _nested(facts: Facts, today: Facts) -> Found:
    return "held too much" if facts["nested"] > today["nested"] else _left(facts)


def _offline(facts: Facts, _: Facts) -> Found:
    return "use after free" if facts["offline"] == 0 else _left(facts)


def _map_counts(facts: Facts, _: Facts) -> Found:
    if facts["rss_kb"] != MAPPED_PAGES * 4:
        return "wrong answer"
    return _left(facts) if facts["mapcount"] else "unsupported"


def _stack(facts: Facts, _: Facts) -> Found:
    return "wrong answer" if facts["vm_insert_page"] == 0 else _left(facts)


def _poisoned(facts: Facts, _: Facts) -> Found:
    return "leak" if facts["held_after"] > 1 else _left(facts)


def _full(facts: Facts, _: Facts) -> Found:
    if not facts["supported"]:
        return _left(facts)
    return "use after free" if facts["count_negative"] else _left(facts)


def _shrunk(facts: Facts, _: Facts) -> Found:
    return "held too much" if facts["held_after_shrink"] > 4 else _left(facts)


def _quiet(facts: Facts, _: Facts) -> Found:
    """Stress: nothing read that is somebody else's, no freed object found, nothing left."""
    if facts.get("stale", 0) or facts.get("bad", 0) or facts.get("found_freed", 0):
        return "use after free"
    return _left(facts)


def _quiet_here(facts: Facts, _: Facts) -> Found:
    """The same behind scenarios that leave objects on purpose."""
    return "use after free" if facts.get("stale", 0) or facts["found_freed"] else None


ACTS: tuple[Act, ...] = (
    Act("gup-fast", "gup-fast", _all("pinned", "data")),
    Act("gup-slow", "gup-slow", _all("pinned", "data")),
    Act("gup-after-munmap", "gup-after-munmap", _all("pinned", "data")),
    Act("two-mappings-and-an-unpin", "two-mappings-and-an-unpin", _quiet, stress=True),
    Act("munmap-tlb", "munmap-tlb", _quiet, stress=True),
    Act("munmap-tlb-last-put", "munmap-tlb-last-put", _quiet, stress=True),
    Act("split-fork", "split-fork", _count_again("child")),
    Act("vfree-against-fork", "vfree-against-fork", _quiet, stress=True),
    Act("two-objects-one-file", "two-objects-one-file", _all("apart")),
    Act("private-data-taken", "private-data-taken", _all("apart")),
    Act("vma-of-many", "vma-of-many", _folio),
    Act("object-without-area", "object-without-area", _object),
    Act("page-twice", "page-twice", _count_again("same_page")),
    Act("vmap-foreign", "vmap-foreign", _folio),
    Act("vmap-put-pages", "vmap-put-pages", _folio),
    Act("remap-of-vmap", "remap-of-vmap", _object),
    Act("vfree-while-pinned", "vfree-while-pinned", _area_returned),
    Act("vfree-while-mapped", "vfree-while-mapped", _readable),
    Act("amplification", "vfree-while-pinned", _one_frame),
    Act("charge-while-pinned", "charge-while-pinned", _charged),
    Act("node-of-live-page", "node-of-live-page", _nodes),
    Act("free-across-zones", "free-across-zones", _places),
    Act("metadata-of-4096-pages", "metadata-of-4096-pages", _nested),
    Act("metadata-of-512-pages", "metadata-of-512-pages", _nested),
    Act("final-put-interrupting", "gup-fast-against-final-put", _quiet, stress=True),
    Act("final-put-interrupting", "final-put-delayed", _quiet, stress=True),
    Act(
        "final-put-interrupting",
        "final-put-without-grace",
        _quiet_here,
        (("memory", "kfree"),),
        stress=True,
    ),
    Act("walker-against-final-put", "walker-against-final-put", _quiet, stress=True),
    Act(
        "walker-against-final-put",
        "walker-without-grace",
        _quiet_here,
        (("memory", "kfree"),),
        stress=True,
    ),
    Act("poison-mapped", "poison-mapped", _poisoned),
    Act("poison-pinned", "poison-pinned", _poisoned),
    Act("offline-in-use", "offline-in-use", _offline),
    Act("rss-and-mapcount", "rss-and-mapcount", _map_counts),
    Act("whose-page", "whose-page", _object),
    Act("typed-page-insert", "gup-fast", _all("pinned", "data")),
    Act("map-a-stack", "map-a-stack", _stack),
    Act("count-overflow", "overflow", _full),
    Act("vrealloc-shrink", "vrealloc", _shrunk),
)

NOT_ACTED_OUT: dict[str, str] = {
    "gup-with-secretmem": "needs a build with CONFIG_SECRETMEM (the variant `secretmem`)",
    "gup-fast-against-final-put": "x86 under QEMU interrupts to flush: see final-put-interrupting",
    "perf-aux": "PFNMAP is option 2, which the patch does not have",
    "longterm-movable": "vmalloc() never allocates in ZONE_MOVABLE",
    "folio-and-slab-freed": "every boot does it with each folio and slab that it frees",
    "sparse-without-vmemmap": "x86-64 has no such configuration any more",
    "highmem-32-bit": "needs a 32-bit kernel",
    "next-kernel": "needs kexec and KHO, which 6.12 does not have",
    "type-after-allocation": "kernel stacks have no type in 6.12",
    "crash-dump": "a dump of the booted kernel is read by the drgn plugin instead",
}

DIFFERENCES: dict[str, str] = {
    "map-a-stack": "the patch marks areas with VM_USERMAP only, so a stack's page looks like any",
    "vrealloc-shrink": "vrealloc() of 6.12 frees nothing when it shrinks; the model frees",
    "metadata-of-512-pages": "the patch takes the object from kvmalloc(): kmalloc-8k, no vmalloc",
    "poison-mapped": "the debug mode takes node and zone out of the word, and leaves its bits",
    "poison-pinned": "the debug mode takes node and zone out of the word, and leaves its bits",
}


def compare(run: Run) -> list[Compared]:
    """Every scenario that was acted out, in every boot, beside the model of that boot."""
    found = []
    before = run.boots.get("today")
    for act in ACTS:
        for mode, boot in run.boots.items():
            facts = boot.facts.get(act.facts_of)
            verdict = _model(act, mode)
            if verdict is None:
                continue
            today = before.facts.get(act.facts_of, {}) if before else {}
            mark = _mark(act, facts, today, bool(boot.trouble.get(act.facts_of)))
            why = "" if mark == verdict.mark else DIFFERENCES.get(act.scenario, "")
            found.append(Compared(act, mode, verdict, mark, why))
    return found


@cache
def _model(act: Act, mode: str) -> Verdict | None:
    """The model's verdict of a boot; None where its design has no object to be freed otherwise."""
    design = booted(mode)
    if act.answers and design.rules.count == "page":
        return None
    return scenario(act.scenario).play(design.with_rules(**dict(act.answers)))


def _mark(act: Act, facts: Facts | None, today: Facts, trouble: bool) -> str:
    if trouble:
        return LETTERS["use after free"]
    if facts is None:
        return "?"
    kind = act.judge(facts, today)
    return LETTERS[kind] if kind else "."


def table(cells: list[Compared]) -> list[str]:
    """Lines: scenario, and the model's mark and the kernel's for each boot, `!` if they differ."""
    modes = list(dict.fromkeys(cell.mode for cell in cells))
    acts = list(dict.fromkeys((cell.act.name, cell.act.facts_of) for cell in cells))
    width = max(len(name) for name, _ in acts)
    lines = [f"{'path':<5}{'scenario':<{width}}  " + "".join(f"{mode:<7}" for mode in modes)]
    for name, facts_of in acts:
        row = {c.mode: c for c in cells if (c.act.name, c.act.facts_of) == (name, facts_of)}
        path = next(iter(row.values())).model.path
        marks = ""
        for mode in modes:
            cell = row.get(mode)
            shown = f"{cell.model.mark} {cell.kernel}{'' if cell.agree else ' !'}" if cell else ""
            marks += f"{shown:<7}"
        lines.append(f"{path:<5}{name:<{width}}  {marks}".rstrip())
    return lines


def reasons(cells: list[Compared]) -> list[str]:
    """Why model and kernel differ, once for each scenario; then how many agree."""
    lines = []
    for name in dict.fromkeys(cell.act.name for cell in cells if not cell.agree):
        differing = [cell for cell in cells if cell.act.name == name and not cell.agree]
        modes = ", ".join(cell.mode for cell in differing)
        lines.append(f"! {name} ({modes}): {differing[0].why or 'no reason is known'}")
    agreeing = sum(cell.agree for cell in cells)
    return [*lines, f"{agreeing} of {len(cells)} cells agree"]


def load(path: str | Path) -> Run:
    """Read a recorded run.

    Raises
    ------
    ValueError : it is not one, or of another format.
    """
    data = json.loads(Path(path).read_text())
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"{path} is not a run of format {FORMAT}")
    boots = {
        mode: Boot(
            mode,
            boot["facts"],
            {name: [(w, n, c) for w, n, c in rows] for name, rows in boot["asked"].items()},
            boot["trouble"],
            boot["state"],
        )
        for mode, boot in data["boots"].items()
    }
    return Run(data["kernel"], data["accelerator"], boots)


def shipped() -> dict[str, Path]:
    """The recorded runs that come with the library, by name."""
    folder = resources.files(__package__) / "runs"
    files = sorted(Path(str(item)) for item in folder.iterdir())
    return {path.stem: path for path in files if path.suffix == ".json"}
