"""Ctrl-C: no KeyboardInterrupt is lost where Python code runs that nobody called."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

import scamem
from scamem import mm

SCATTERED = 9 * 4096


def scattered(arena: scamem.Arena) -> scamem.Scamem:
    """Return an object of several runs, so that a view of it is a mapping of its own."""
    kept = [arena.alloc(4096) for _ in range(64)]
    whole = arena.alloc(arena.capacity - 64 * 4096)
    del kept[::2]
    found = arena.alloc(SCATTERED)
    whole.close()
    return found


def named(arena: scamem.Arena) -> object:
    """Return an array that a name keeps, too."""
    arena["x"] = np.ones(9)
    return arena["x"]


MAKERS: dict[str, Callable[[scamem.Arena], object]] = {
    "scamem": lambda arena: arena.alloc(4096),
    "array": lambda arena: arena.zeros(1000),
    "slice": lambda arena: arena.zeros(1000)[::3],
    "pin": lambda arena: arena.alloc(4096).pin(),
    "view": lambda arena: arena.alloc(4096).map(),
    "scattered view": lambda arena: scattered(arena).map(),
    "private view": lambda arena: arena.alloc(4096).map(private=True),
    "handle": lambda arena: arena.put(b"x" * 5000),
    "joined arrays": lambda arena: scamem.concatenate([arena.zeros(512), arena.zeros(512)]),
    "named": named,
    "area": lambda arena: mm.vmalloc(arena, 3 * 4096),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_letting_go_runs_no_python(kind: str) -> None:
    """A signal is heard between bytecodes; those of a destructor or a callback would lose it."""
    ran: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            ran.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")

    with scamem.Arena.create(capacity="8M") as arena:
        made: object = MAKERS[kind](arena)
        sys.setprofile(note)
        try:
            del made
        finally:
            sys.setprofile(None)
    assert ran == []


def test_thousands_of_interrupts_and_none_is_lost(place: Path, root: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.limits.interrupted", "7000"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    assert re.fullmatch(r"lost 0 of [1-9]\d{2,}; \[\]\n", ended.stdout), ended.stdout


TRIM = """
import signal, sys
import scamem
from scamem.membership import member

def interrupted():
    signal.raise_signal(signal.SIGINT)  # while the pending call runs

arena = scamem.Arena.create(capacity="64M")
arena.retention = 0
x = arena.alloc("32M")
member.surplus_handlers[:] = [interrupted]
try:
    x.close()
    for _ in range(1000):
        pass
except KeyboardInterrupt:
    print("heard")
"""


def test_an_interrupt_while_surplus_is_trimmed_is_heard() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TRIM], capture_output=True, text=True, check=False
    )
    assert (ended.stdout, ended.stderr) == ("heard\n", "")


STOPPED_IMPORT = """
import os, signal, sys

class Finder:  # stands in for the moment at which a module is looked for
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
        return None

sys.meta_path.insert(0, Finder())
sys.argv = ["scamem", "ls"]
from _scamem_cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["scamem", "numpy", "scamem.arena", "click", "scamem.cli.look"])
def test_the_command_ends_with_130_wherever_it_is_importing(module: str, place: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED_IMPORT.format(module=module)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == "scamem: interrupted"  # click ends the line of ^C


def test_an_ignored_interrupt_stays_ignored(place: Path) -> None:
    """As a shell starts what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", STOPPED_IMPORT.format(module="numpy")],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.returncode == 1
    assert "asked for the arena 'default'" in ended.stderr


def test_the_console_script_is_the_one_that_listens(root: Path) -> None:
    script = os.path.join(os.path.dirname(sys.executable), "scamem")
    assert 'scamem = "_scamem_cli:main"' in (root / "pyproject.toml").read_text()
    assert os.access(script, os.X_OK)
