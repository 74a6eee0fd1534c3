"""Type checkers know every public name, as a user's program sees it."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import scamem
from tests.style.sources import ROOT, SOURCES

PROGRAM = Path(__file__).parent / "program.py"
CLASSES = ("Arena", "Array", "Scamem", "Pin", "GrowableArray", "RingBuffer")
ELSEWHERE = {  # set or called by the library itself
    *("hold", "seat", "magic", "what", "on_subclass", "reduce_by_handle"),
    *("send", "recv_into", "create"),  # need a socket; made by Arena.ring and Arena.growable
}


def members(kind: type) -> set[str]:
    """Return the public names that a class adds to those of its bases elsewhere."""
    foreign = [base for base in kind.__mro__[1:] if not base.__module__.startswith("scamem")]
    known = {name for base in foreign for name in dir(base)}
    return {name for name in dir(kind) if not name.startswith("_")} - known


def test_the_program_has_every_public_name() -> None:
    used = set(re.findall(r"scamem\.(\w+)", PROGRAM.read_text()))
    assert set(scamem.__all__) <= used


@pytest.mark.parametrize("name", CLASSES)
def test_the_program_has_every_method(name: str) -> None:
    used = set(re.findall(r"\.(\w+)", PROGRAM.read_text()))
    assert inspect.isclass(getattr(scamem, name))
    assert members(getattr(scamem, name)) - ELSEWHERE <= used


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program on a user's copy, in a folder without our settings."""
    program = folder / "program.py"
    program.write_text(PROGRAM.read_text())
    environment = {**os.environ, "MYPYPATH": str(SOURCES)}
    environment.pop("SCAMEM_ARENA", None)
    return subprocess.run(
        [sys.executable, *command, str(program)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs(tmp_path: Path) -> None:
    ended = run(folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_mypy_accepts_it(tmp_path: Path) -> None:
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'user'}"
    how = ("--strict", "--config-file=", "--follow-imports=silent", cache)
    ended = run("-m", "mypy", *how, folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_pyright_accepts_it(tmp_path: Path) -> None:
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(SOURCES)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    ended = run("-m", "basedpyright", folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
