"""Verdicts follow from the model: they are complete, explained, and change with the rules."""

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest

import scamem.designs
from scamem.designs import (
    DESIGNS,
    RACES,
    SCENARIOS,
    Design,
    Rules,
    Verdict,
    design,
    designs,
    scenario,
    verdicts,
)
from scamem.designs.rules import parse_flip

NAMES = ["today", "1", "2", "3", "4a", "4b", "4c", "4d", "choir", "subtype"]


def test_the_ten_designs_of_the_thread_in_order() -> None:
    assert [kind.name for kind in designs()] == NAMES
    assert len(DESIGNS) == 10


def test_every_path_is_acted_out() -> None:
    assert {play.path for play in SCENARIOS} == {f"P{number}" for number in range(1, 30)}
    assert len({play.name for play in SCENARIOS}) == len(SCENARIOS)


def test_each_scenario_has_a_verdict_of_each_design(cells: list[Verdict]) -> None:
    assert len(cells) == len(SCENARIOS) * len(NAMES)
    assert {cell.verdict for cell in cells} == {"pass", "fail", "n/a"}


def test_a_failure_names_its_step_its_kind_and_has_a_trace(cells: list[Verdict]) -> None:
    for cell in cells:
        if cell.verdict == "fail":
            assert all((cell.step, cell.kind, cell.reason)), cell
            assert cell.reason in cell.trace[-1], cell
        if cell.verdict == "n/a":
            assert all((cell.step, cell.reason, not cell.kind)), cell


def test_runs_are_deterministic(cells: list[Verdict]) -> None:
    again = verdicts(designs())
    assert again == cells


def test_no_scenario_or_machine_knows_a_design_by_name() -> None:
    """Names occur in the catalogue alone, so no verdict can be written down for one."""
    folder = Path(scamem.designs.__file__).parent
    for path in folder.rglob("*.py"):
        if path.name in ("catalogue.py", "drgn_plugin.py"):
            continue
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not strings & set(NAMES[4:]), path


@pytest.mark.parametrize(
    ("name", "play", "answer"),
    [
        ("4b", "gup-after-munmap", {"word": "both"}),
        ("4d", "node-of-live-page", {"flags_when": "always"}),
        ("choir", "gup-fast-against-final-put", {"memory": "kfree_rcu"}),
        ("choir", "gup-fast-against-final-put", {"array": "separate"}),
        ("4a", "vfree-while-mapped", {"pages": "object"}),
        ("1", "charge-while-pinned", {"charge": "page"}),
        ("4c", "offline-in-use", {"offline": "type"}),
        ("4c", "poison-pinned", {"poison": "object"}),
        ("4c", "sparse-without-vmemmap", {"entries": "pfn"}),
        ("4d", "vmap-put-pages", {"lists_foreign": True}),
        ("subtype", "type-after-allocation", {"typed": "at allocation"}),
        ("3", "typed-page-insert", {"insert_check": "mappable"}),
        ("choir", "node-of-live-page", {"word": "both"}),
        ("choir", "longterm-movable", {"word": "both"}),
        ("4d", "sparse-without-vmemmap", {"word": "both"}),
        ("3", "next-kernel", {"word": "both"}),
        ("choir", "walker-against-final-put", {"memory": "kfree_rcu"}),
        ("4c", "count-overflow", {"mapping": "vma"}),
    ],
)
def test_a_rule_that_mends(name: str, play: str, answer: dict[str, Any]) -> None:
    before = scenario(play).play(design(name))
    after = scenario(play).play(design(name).with_rules(**answer))
    assert (before.verdict, after.verdict) == ("fail", "pass")


@pytest.mark.parametrize(
    ("name", "play", "answer", "kind"),
    [
        ("4c", "munmap-tlb-last-put", {"put": "at zap"}, "use after free"),
        ("4c", "gup-fast-against-final-put", {"recheck": False}, "use after free"),
        ("4c", "gup-fast-against-final-put", {"memory": "kfree"}, "use after free"),
        ("4b", "split-fork", {"dup_holds": False}, "use after free"),
        ("4b", "two-objects-one-file", {"vma_slot": "vm_file"}, "unsupported"),
        ("4c", "free-across-zones", {"table": "section"}, "wrong zone"),
        ("3", "gup-after-munmap", {"area_ends": "vfree"}, "use after free"),
        ("4c", "vmap-foreign", {"vmap": "claims words"}, "wrong object"),
        ("4c", "longterm-movable", {"longterm": "type"}, "wrong zone"),
        ("4c", "vfree-while-mapped", {"mapping": "none"}, "use after free"),
        ("choir", "charge-while-pinned", {"charge": "area"}, "undercharged"),
        ("today", "gup-slow", {"pte": "special"}, "unsupported"),
        ("choir", "free-across-zones", {"flags": "once"}, "wrong zone"),
        ("4b", "gup-with-secretmem", {"mapping": "none"}, "unsupported"),
        ("4c", "walker-against-final-put", {"memory": "kfree"}, "use after free"),
    ],
)
def test_a_rule_that_breaks(name: str, play: str, answer: dict[str, Any], kind: str) -> None:
    before = scenario(play).play(design(name))
    after = scenario(play).play(design(name).with_rules(**answer))
    assert before.verdict == "pass"
    assert (after.verdict, after.kind) == ("fail", kind)


def test_a_design_is_added_in_a_few_lines() -> None:
    class Mended(Design):
        name, title = "mended", "choir with six answers changed"
        object_name = "choir"
        rules = dataclasses.replace(
            design("choir").rules,
            flags_when="always",
            memory="kfree_rcu",
            poison="object",
            offline="type",
            insert_check="mappable",
            lists_foreign=True,
        )

    failing = {cell.path for cell in verdicts([Mended()]) if cell.verdict == "fail"}
    assert failing == {"P11", "P16", "P17", "P21", "P22", "P28", "P29"}


def test_gup_after_munmap_by_vma_fails_where_only_the_page_is_left() -> None:
    cell = scenario("gup-after-munmap").play(design("4b"))
    assert cell.step == "9: unpin_user_page(pin)"
    assert "no pointer" in cell.reason


def test_a_scenario_is_found_by_its_path_too() -> None:
    assert scenario("P18").name == "gup-fast-against-final-put"
    with pytest.raises(LookupError, match="there are"):
        scenario("P30")
    with pytest.raises(LookupError, match="there are"):
        design("5")


def test_flips_are_read_from_text() -> None:
    assert parse_flip("flags_when=always") == ("flags_when", "always")
    assert parse_flip("recheck=false") == ("recheck", False)
    with pytest.raises(ValueError, match="RULE one of"):
        parse_flip("colour=red")
    with pytest.raises(ValueError, match="it can be"):
        parse_flip("word=wide")


@pytest.mark.parametrize("name", NAMES)
def test_every_single_answer_can_be_run_without_an_accident(name: str) -> None:
    """No changed answer may end as anything but a verdict."""
    kind = design(name)
    for rule, value in kind.rules.flips():
        changed = kind.with_rules(**{rule: value})
        for play in SCENARIOS:
            if play not in RACES:
                assert play.play(changed).verdict in ("pass", "fail", "n/a")


def test_flips_cover_every_rule() -> None:
    assert {rule for rule, _ in Rules().flips()} == {f.name for f in dataclasses.fields(Rules)}


def test_offlining_is_refused_late_and_harms_nobody() -> None:
    cell = scenario("offline-in-use").play(design("choir"))
    assert (cell.kind, cell.mark, cell.harms) == ("refused late", "R", False)
    assert "test_pages_isolated()" in cell.reason


def test_fast_gup_needs_no_vma_only_where_single_pages_may_be_fast() -> None:
    """With CONFIG_SECRETMEM 4b can pin; what decides against it is the unpin."""
    marks = [
        scenario(name).play(design("4b")).mark
        for name in ("gup-fast", "gup-with-secretmem", "gup-after-munmap")
    ]
    assert marks == ["X", ".", "X"]


def test_a_flush_that_interrupts_waits_for_gup_fast() -> None:
    for name in ("3", "4d", "choir"):
        assert scenario("gup-fast-against-final-put").play(design(name)).mark == "U"
        assert scenario("final-put-interrupting").play(design(name)).mark == "."
        assert scenario("walker-against-final-put").play(design(name)).mark == "U"


@pytest.mark.parametrize(("answer", "mark"), [("saturates", "L"), ("wraps", "U"), ("refuses", "X")])
def test_a_full_count(answer: str, mark: str) -> None:
    kind = design("choir").with_rules(full_count=answer)
    assert scenario("count-overflow").play(kind).mark == mark
    assert scenario("count-overflow").play(design("today")).mark == "."


def test_memory_failure_keeps_its_reference_to_a_page_it_does_not_know() -> None:
    kind = design("choir").with_rules(word="both", poison="page flag")
    cell = scenario("poison-mapped").play(kind)
    assert cell.kind == "leak"
    assert "memory_failure()" in "\n".join(cell.trace)
    assert scenario("poison-mapped").play(design("today")).verdict == "pass"
