"""The drgn plugin, on a program that has the kernel's vmap structures (fake_kernel.c)."""

import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

drgn = pytest.importorskip("drgn")
from drgn.commands import DEFAULT_COMMAND_NAMESPACE  # noqa: E402  # after the skip

from scamem.designs import drgn_plugin  # noqa: E402  # after the skip

COMPILER = shutil.which("gcc") or shutil.which("cc") or ""
needs_compiler = pytest.mark.skipif(not COMPILER, reason="no C compiler")


@pytest.fixture(params=["", "-DNODES"], ids=["one list", "lists by node"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, int]]:
    """A running program, opened by drgn; and the address of one of its pages."""
    binary = tmp_path / "fake_kernel"
    source = Path(__file__).with_name("fake_kernel.c")
    flags = [request.param] if request.param else []
    subprocess.run([COMPILER, "-g", "-O0", *flags, "-o", binary, source], check=True)
    process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        page = int(process.stdout.readline(), 16)
        opened = drgn.Program()
        try:
            opened.set_pid(process.pid)
        except PermissionError as error:
            pytest.skip(f"this process may not be debugged: {error}")
        opened.load_debug_info([str(binary)])
        yield opened, page
    finally:
        process.communicate("\n")


def run(opened: Any, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    DEFAULT_COMMAND_NAMESPACE.run(opened, text)
    return capsys.readouterr().out


@needs_compiler
def test_areas(program: tuple[Any, int], capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(program[0], "scamem areas", capsys).splitlines()
    assert lines[0].split()[:2] == ["VMAP_AREA", "VM_STRUCT"]
    assert len(lines) == 4
    assert lines[1].split()[-4:] == ["20480", "4", "2", "array_map_alloc"]
    assert lines[2].split()[-3:] == ["2", "1", "array_map_alloc"]
    assert lines[3].split()[-1] == "8192"


@needs_compiler
def test_whose_page(program: tuple[Any, int], capsys: pytest.CaptureFixture[str]) -> None:
    opened, page = program
    text = run(opened, f"scamem page {page:x}", capsys)
    assert "page 2 of 4 of area 0xffffc90000000000 (array_map_alloc)" in text
    assert "flags 0x0040000000000000" in text
    assert "no area lists it" in run(opened, "scamem page 0x2000", capsys)
    assert "no area lists it" in run(opened, "scamem page 1000", capsys)


@needs_compiler
def test_designs_on_the_programs_areas(
    program: tuple[Any, int], capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(program[0], "scamem designs", capsys)
    assert "2 areas, 6 pages, 3 runs" in text
    assert "P29  vrealloc-shrink" in text


def test_a_program_without_areas_still_gets_the_table() -> None:
    lines = list(drgn_plugin.design_lines(drgn.Program()))
    assert lines[0].startswith("path scenario")
    assert "no areas to count costs on" in lines[-1]


def test_the_entry_point_is_declared() -> None:
    found = [point.value for point in entry_points(group="drgn.plugins")]
    if not any(value.startswith("scamem") for value in found):
        pytest.skip("scamem is not installed here, only on the path")
    assert "scamem.designs.drgn_plugin" in found
