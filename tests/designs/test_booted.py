"""Facts of a booted kernel become verdicts; each difference from the model has its reason."""

import dataclasses
import json
from pathlib import Path

import pytest

from scamem.designs import SCENARIOS, booted, design, designs, verdicts
from scamem.designs.booted import ACTS, NOT_ACTED_OUT, Boot, Run
from scamem.designs.catalogue import booted as design_of_boot
from scamem.designs.report.summary import findings, survivors

MODES = ["today", "3", "4d", "choir", "word"]


@pytest.fixture(scope="module")
def run() -> Run:
    return booted.load(booted.shipped()["linux-6.12"])


def with_facts(run: Run, mode: str, name: str, **facts: int) -> Run:
    """The same run, with other facts of one scenario."""
    boot = run.boots[mode]
    changed = dataclasses.replace(
        boot, facts={**boot.facts, name: {**boot.facts[name], **facts}}, trouble={}
    )
    return dataclasses.replace(run, boots={**run.boots, mode: changed})


def mark(run: Run, mode: str, name: str) -> str:
    return next(c.kernel for c in booted.compare(run) if (c.mode, c.act.facts_of) == (mode, name))


def test_every_scenario_of_the_model_is_acted_out_or_a_reason_says_why_not() -> None:
    acted = {act.scenario for act in ACTS}
    assert acted | set(NOT_ACTED_OUT) == {play.name for play in SCENARIOS}
    assert not acted & set(NOT_ACTED_OUT)


def test_the_recorded_run_has_every_mode_and_nothing_is_missing(run: Run) -> None:
    assert list(run.boots) == MODES
    cells = booted.compare(run)
    assert not [cell for cell in cells if cell.kernel == "?"]
    assert {cell.act.facts_of for cell in cells} == {act.facts_of for act in ACTS}


def test_each_difference_between_model_and_kernel_has_a_reason(run: Run) -> None:
    for cell in booted.compare(run):
        assert cell.agree or cell.why, (cell.act.name, cell.mode, cell.model.mark, cell.kernel)


def test_the_kernel_complained_only_where_objects_are_freed_under_a_reader(run: Run) -> None:
    for boot in run.boots.values():
        assert set(boot.trouble) <= {"walker-without-grace"}, boot.mode


@pytest.mark.parametrize(
    ("mode", "name", "facts", "expected"),
    [
        ("choir", "gup-fast", {"data": 0}, "X"),
        ("choir", "gup-fast", {"left_frames": 1}, "L"),
        ("choir", "split-fork", {"count_again": 2}, "L"),
        ("choir", "vfree-while-pinned", {"area_left": 1}, "H"),
        ("choir", "vfree-while-mapped", {"pages_readable": 16}, "U"),
        ("choir", "charge-while-pinned", {"charged_while_pinned": 1}, "C"),
        ("choir", "node-of-live-page", {"disagree": 1}, "Z"),
        ("choir", "node-of-live-page", {"vmallocinfo_node1": 31}, "N"),
        ("choir", "free-across-zones", {"missing_node1": 1900}, "N"),
        ("choir", "vmap-put-pages", {"folio_count": 2}, "L"),
        ("choir", "offline-in-use", {"offline": 0}, "U"),
        ("choir", "rss-and-mapcount", {"rss_kb": 0}, "A"),
        ("choir", "two-mappings-and-an-unpin", {"stale": 1}, "U"),
        ("choir", "gup-fast-against-final-put", {"found_freed": 1}, "U"),
        ("today", "poison-pinned", {"held_after": 17}, "L"),
        ("today", "vfree-against-fork", {"bad": 1}, "U"),
    ],
)
def test_other_facts_give_another_verdict(
    run: Run, mode: str, name: str, facts: dict[str, int], expected: str
) -> None:
    assert mark(run, mode, name) != expected
    assert mark(with_facts(run, mode, name, **facts), mode, name) == expected


def test_a_complaint_of_the_kernel_is_a_failure(run: Run) -> None:
    boot = dataclasses.replace(run.boots["choir"], trouble={"page-twice": ["BUG: KASAN"]})
    changed = dataclasses.replace(run, boots={**run.boots, "choir": boot})
    assert mark(changed, "choir", "page-twice") == "U"


def test_a_scenario_without_facts_shows_as_missing(run: Run) -> None:
    boot = run.boots["choir"]
    facts = {name: found for name, found in boot.facts.items() if name != "overflow"}
    short = dataclasses.replace(boot, facts=facts)
    changed = dataclasses.replace(run, boots={**run.boots, "choir": short})
    assert mark(changed, "choir", "overflow") == "?"


def test_a_boot_stands_for_the_design_with_the_answers_of_the_patch() -> None:
    assert design_of_boot("today").rules == design("today").rules
    assert design_of_boot("choir").rules.word == "both"
    assert design_of_boot("word").rules.word == "pointer"
    assert design_of_boot("3").name == "3"
    with pytest.raises(LookupError, match="there are"):
        design_of_boot("5")


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"format": 0}))
    with pytest.raises(ValueError, match="not a run of format"):
        booted.load(path)


def test_the_first_screen_counts_what_was_recorded(run: Run) -> None:
    text = "\n".join(findings(run))
    assert "one pinned page of 17 keeps frames: today 1, 3 17, 4d 17, choir 17" in text
    assert "addresses stay with 3" in text
    assert "3 ranges" in text
    freed = next(line for line in run.boots["word"].state if line.startswith("free "))
    assert freed.split()[3] == "0"
    assert f"{int(freed.split()[1]):,} pages freed, 0 wrong" in text
    empty = Run("Linux version 6.12", "tcg", {"today": Boot("today", {}, {}, {}, [])})
    assert "one pinned page" in "\n".join(findings(empty))


def test_survivors_are_counted_from_the_verdicts() -> None:
    rows = {row[0]: row for row in survivors(designs(), verdicts(designs()))}
    assert rows["today"][2] == f"42/{len(SCENARIOS)}"
    assert "P18" in rows["choir"][3]
    assert "P20" in rows["choir"][4]


def test_the_documentation_has_the_recorded_table(run: Run) -> None:
    text = (Path(__file__).parents[2] / "docs" / "kernel.md").read_text()
    assert "\n".join(booted.table(booted.compare(run))) in text
