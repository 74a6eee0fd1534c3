"""`scamem designs` and `scamem kernel`, as users type them."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")

from click import Command  # after the skip
from click.testing import CliRunner

from scamem.cli.designs import designs_command
from scamem.cli.kernel import kernel_command

NAMES = ["today", "1", "2", "3", "4a", "4b", "4c", "4d", "choir", "subtype"]


def call(command: Command, *args: str, code: int = 0) -> str:
    result = CliRunner().invoke(command, args, env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(call(designs_command, "--json", "--snapshot", "two-node"))
    return read


def test_json_of_verdicts(data: dict[str, Any]) -> None:
    cells = data["verdicts"]
    assert {cell["design"] for cell in cells} == set(NAMES)
    assert {cell["path"] for cell in cells} == {f"P{n}" for n in range(1, 30)}
    assert {cell["verdict"] for cell in cells} == {"pass", "fail", "n/a"}
    for cell in cells:
        assert {"design", "scenario", "path", "verdict", "step", "reason"} <= set(cell)


def test_json_of_costs_has_units(data: dict[str, Any]) -> None:
    assert all(cost["unit"] and cost["of"] for cost in data["costs"])
    assert {cost["design"] for cost in data["costs"]} >= set(NAMES)
    assert data["machine"]["made_up"] is True
    assert "struct choir {" in "".join(data["designs"][8]["structs"])


def test_the_table_names_every_path_and_marks_failures() -> None:
    text = call(designs_command, "--snapshot", "one-node")
    for number in range(1, 30):
        assert re.search(rf"^ *P{number} ", text, re.MULTILINE)
    assert re.search(r"P18 +gup-fast-against-final-put .* U .* U ", text)
    assert "U use after free" in text
    assert "fail, in all" in text
    assert "page_to_nid" in text


def test_why_prints_the_steps_and_what_mends_it() -> None:
    text = call(designs_command, "--why", "4b", "gup-after-munmap")
    assert "step 9: unpin_user_page(pin)" in text
    assert "word=both" in text
    assert "verdict: pass" in call(designs_command, "--why", "4c", "P2")


def test_why_of_a_race_prints_the_shortest_order() -> None:
    text = call(designs_command, "--why", "choir", "gup-fast-against-final-put")
    assert "shortest of" in text
    assert "CPU1" in text
    assert "memory=kfree_rcu" in text


def test_an_answer_set_on_the_command_line_changes_the_verdict() -> None:
    args = ("--set", "4d.flags_when=always", "--why", "4d", "node-of-live-page")
    assert "verdict: pass" in call(designs_command, *args)
    assert "RULE=VALUE" in call(designs_command, "--set", "4d.colour=red", code=2)
    assert "there are" in call(designs_command, "--why", "4z", "P1", code=2)
    assert "there are" in call(designs_command, "--why", "4d", "P99", code=2)
    assert "shipped" in call(designs_command, "--snapshot", "nowhere", code=2)


def test_remedies_axes_and_structs() -> None:
    text = call(designs_command, "--remedies", "4b")
    assert "vma_slot=own field" in text
    assert "bytes a page" in call(designs_command, "--axes")
    text = call(designs_command, "--rules")
    assert "where is the reference count?" in text
    assert re.search(r"^ +area +3$", text, re.MULTILINE)
    assert "/* size: 16, cachelines: 1" in call(designs_command, "--structs", "--arena")


def test_the_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "designs.html"
    call(designs_command, "--snapshot", "two-node", "--html", str(path), "--arena")
    text = path.read_text()
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert text.count("<svg") == 2
    assert "pages freed, 0 wrong" in text[: text.index("<h2>")]
    assert "Costs on two-node, a made-up machine" in text
    assert "this machine" not in text
    assert "arena" in text
    assert not re.search(r"https?://|<script|<link|<img|@import|url\(", text)
    anchors = set(re.findall(r'href="#([^"]+)"', text))
    assert anchors
    assert anchors <= set(re.findall(r'id="([^"]+)"', text))


def test_kernel_report_of_a_snapshot() -> None:
    text = call(kernel_command, "--snapshot", "two-node")
    assert "made up" in text
    assert "7 exact ranges" in text
    assert "kernel/fork.c:311" in text
    assert "node in 10 bits from 54, zone in 3 bits from 51" in text
    data = json.loads(call(kernel_command, "--snapshot", "two-node", "--json"))
    assert data["user_mappable"] == 7


def test_areas_in_the_kernels_own_forms() -> None:
    lines = call(kernel_command, "--snapshot", "two-node", "--areas").splitlines()
    assert any(re.match(r"0xffff[0-9a-f]{12}-0xffff[0-9a-f]{12} +\d+ .* vmalloc", x) for x in lines)
    columns = call(kernel_command, "--snapshot", "two-node", "--kmem").splitlines()
    assert columns[0].split() == ["VMAP_AREA", "VM_STRUCT", "ADDRESS", "RANGE", "SIZE"]
    assert len(columns) == len(lines) + 1


def test_a_machine_is_recorded_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    assert "recorded" in call(kernel_command, "--record", str(path))
    assert "here, kernel" in call(kernel_command, "--snapshot", str(path))


def test_a_frame_number_that_is_none_is_refused() -> None:
    assert "invalid literal" in call(kernel_command, "--page", "xyz", code=2)


def test_sections_of_several_zones_are_counted_and_numbered() -> None:
    text = call(kernel_command, "--snapshot", "one-node")
    assert "1 section holds several zones or nodes (number 0)" in text


def test_a_frame_beyond_memory_is_refused() -> None:
    if os.geteuid():
        pytest.skip("/proc/kpageflags is for root")
    text = call(kernel_command, "--page", "fffffffffff", code=2)
    assert "This machine's memory has no such frame" in text


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_word_of_pointer_and_flags_is_measured(name: str) -> None:
    """Every design under both words: what the tool itself advises must run."""
    args = ("--set", f"{name}.word=both", "--snapshot", "one-node", "--json")
    costs = json.loads(call(designs_command, *args))["costs"]
    timed = {cost["quantity"] for cost in costs if cost["design"] == name and "ns" in cost["unit"]}
    assert "page_to_nid" in timed


def test_the_first_screen_comes_before_any_table_of_rules() -> None:
    text = call(designs_command, "--snapshot", "one-node")
    screen = text[: text.index("verdicts (scamem designs --why")]
    assert len(screen.splitlines()) <= 40
    for said in ("The mail (linux-mm", "pages freed, 0 wrong", "harms on", "choir"):
        assert said in screen


def test_a_booted_kernel_beside_the_model() -> None:
    text = call(designs_command, "--booted")
    assert re.search(r"P11 +amplification +. . +H H", text)
    assert "cells agree" in text
    assert "! vrealloc-shrink (today): vrealloc() of 6.12 frees nothing" in text
    assert "longterm-movable: not acted out: vmalloc() never allocates in ZONE_MOVABLE" in text
