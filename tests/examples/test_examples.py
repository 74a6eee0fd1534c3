"""Every program in the README, the docs, the examples and the docstrings runs as printed."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
DOCTEST = """
import contextlib, doctest, importlib, sys
import numpy as np, scamem

module = importlib.import_module({module!r})
known = {{"np": np, "scamem": scamem}}
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
with contextlib.redirect_stdout(sys.stderr):
    for test in doctest.DocTestFinder().find(module, extraglobs=known):
        method = getattr(np.ndarray, test.name.rpartition(".")[2], None)
        if method is None or method.__doc__ != test.docstring:  # not one of NumPy's
            runner.run(test)
print(runner.tries)
sys.exit(runner.failures > 0)
"""


def blocks() -> list[tuple[str, str]]:
    """Return every block of Python on the pages, with a name."""
    return [
        (f"{page.relative_to(ROOT)}-{number}", text)
        for page in PAGES
        for number, text in enumerate(BLOCK.findall(page.read_text()))
    ]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    place = tempfile.mkdtemp(prefix="scamem-test-", dir="/dev/shm")
    kept = {name: value for name, value in os.environ.items() if name != "SCAMEM_ARENA"}
    yield {**kept, "SCAMEM_DIR": place}
    shutil.rmtree(place)


def run(path: Path, environment: dict[str, str], folder: Path) -> str:
    ended = subprocess.run(
        [sys.executable, str(path)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


IMPORTED = re.compile(r"^(?:import|from) (\w+)", re.MULTILINE)


def skip_without_libraries(text: str) -> None:
    """Skip a program that imports a library which is not installed here."""
    for name in IMPORTED.findall(text):
        if name != "__future__" and importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed (make lane-integrations)")


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_example(path: Path, environment: dict[str, str], tmp_path: Path) -> None:
    output = run(path, environment, tmp_path)
    assert "0 objects left" in output or path.stem == "scattered"


def test_there_are_blocks() -> None:
    assert len(blocks()) > 3


@pytest.mark.parametrize(("name", "text"), blocks(), ids=[name for name, _ in blocks()])
def test_page(name: str, text: str, environment: dict[str, str], tmp_path: Path) -> None:
    skip_without_libraries(text)
    program = tmp_path / "program.py"
    program.write_text(text)
    run(program, environment, tmp_path)


def modules_with_examples() -> list[str]:
    """Return the modules that show examples (>>>) in their docstrings."""
    source = ROOT / "src"
    return [
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(source.rglob("*.py"))
        if ">>> " in path.read_text()
    ]


@pytest.mark.parametrize("module", modules_with_examples())
def test_docstrings(module: str, environment: dict[str, str], tmp_path: Path) -> None:
    source = ROOT / "src" / Path(*module.split("."))
    if source.with_suffix(".py").exists():
        skip_without_libraries(source.with_suffix(".py").read_text())
    program = tmp_path / "program.py"
    program.write_text(DOCTEST.format(module=module))
    assert int(run(program, environment, tmp_path)) > 0
