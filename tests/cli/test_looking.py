"""Listings in a terminal, pictures, metrics, and what a stranger types first."""

import io
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import zlib
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, Group

from scamem import Arena
from scamem.cli.looking import looked_at
from scamem.cli.top import Screen, picture, sample

from .conftest import COMMAND, Run


def in_terminal(environment: dict[str, str], columns: int, *arguments: str, keys: str = "") -> str:
    """Run a command in a terminal of so many columns, press keys; return what it shows."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*COMMAND, *arguments], {**environment, "TERM": "xterm"})
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = b""
    left = keys
    while True:
        try:
            ready = select.select([terminal], [], [], 60)[0]
            part = os.read(terminal, 1 << 16) if ready else b""
        except OSError:  # the command has ended
            part = b""
        if not part:
            break
        shown += part
        if left and b"size" in part:
            os.write(terminal, left[0].encode())
            left = left[1:]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return shown.decode()


@pytest.fixture
def filled(environment: dict[str, str], arenas: Path) -> str:
    """An arena with arrays, a table, bytes and an object, in files of its own."""
    path = str(arenas / "filled")
    with Arena.create(path, capacity="64M") as arena:
        arena["numbers"] = np.arange(6.0).reshape(2, 3)
        arena["table"] = np.zeros(5, [("a", "i4"), ("b", "f8")])
        arena["text"] = b"hello"
        arena["settings"] = {"run": 7}
        arena["frozen"] = arena.freeze([1, 2])
        arena["red\x1b[31m"] = np.zeros(1)
    environment["SCAMEM_ARENA"] = path
    return path


def test_ls_says_what_each_object_contains(scamem: Run, filled: str) -> None:
    assert filled
    listed = scamem("ls").stdout.decode()
    for contents in (
        "float64 (2,3)",
        "table (5,) of 2 fields",
        "bytes",
        "Python object",
        "frozen value",
    ):
        assert contents in listed
    found = {one["names"][0]: one["contents"] for one in json.loads(scamem("ls", "--json").stdout)}
    assert found["numbers"] == {"kind": "array", "dtype": "float64", "shape": [2, 3]}
    assert found["settings"] == {"kind": "Python object"}
    assert found["frozen"] == {"kind": "frozen value"}


def test_names_cannot_command_the_terminal(scamem: Run, filled: str) -> None:
    assert filled
    for command in (["ls"], ["who", "red\x1b[31m"], ["top"], ["map"]):
        assert b"\x1b" not in scamem(*command).stdout
    assert rb"red\x1b[31m" in scamem("ls").stdout


HOLD = """
import os, sys, scamem
held = scamem.Arena.join(sys.argv[2])["numbers"]
print(flush=True)
sys.stdin.readline()
os.execv(sys.executable, [sys.executable, "next.py"])
"""
NEXT = "import sys; print(flush=True); sys.stdin.read()"


def test_names_and_commands_are_no_markup(
    scamem: Run, environment: dict[str, str], filled: str
) -> None:
    """Whatever rich would read in them, everybody sees as it is."""
    name = "[/x]"
    with Arena.join(filled) as arena:
        arena[name] = np.zeros(100_000)
        held = arena[name]
        for look in (["top"], ["ls"], ["who", name], ["map"]):
            assert name in scamem(*look).stdout.decode()
        assert name in in_terminal(environment, 100, "top", keys="n\n\npq")
        del held


def test_top_asks_for_commands_at_each_look(filled: str, tmp_path: Path) -> None:
    """A pid may be another program's by then."""
    (tmp_path / "hold.py").write_text(HOLD)
    (tmp_path / "next.py").write_text(NEXT)
    with subprocess.Popen(
        [sys.executable, "hold.py", "[/y]", filled],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        with looked_at(filled) as look:
            first, processes = sample(look), Screen(processes=True)
            assert "[/y]" in text_of(picture(None, first, processes, 40))
            process.stdin.write("\n")
            process.stdin.flush()
            process.stdout.readline()
            sample(look)
            assert "next.py" in text_of(picture(None, first, processes, 40))
        process.stdin.close()


def text_of(shown: Group) -> str:
    """Return what a console of 200 columns prints."""
    output = Console(file=io.StringIO(), width=200)
    output.print(shown)
    assert isinstance(output.file, io.StringIO)
    return output.file.getvalue()


def test_a_narrow_terminal_hides_no_holder(environment: dict[str, str], filled: str) -> None:
    with Arena.join(filled) as arena:
        held = arena["numbers"]
        for columns in (40, 80, 200):
            shown = in_terminal(environment, columns, "ls")
            assert f"pid {os.getpid()} " in shown
            assert ": 1 pin" in shown
        del held


def test_top_opens_an_object_and_ends(environment: dict[str, str], filled: str) -> None:
    with Arena.join(filled) as arena:
        held = arena["numbers"]
        shown = in_terminal(environment, 100, "top", keys="n\n\npq")
        assert "held by" in shown  # the object that Enter opened
        assert "command" in shown  # the processes
        del held


def test_maps(scamem: Run, filled: str, tmp_path: Path) -> None:
    assert filled
    assert "numbers" in scamem("map").stdout.decode()
    assert "names and handles only" in scamem("map", "--by", "holder").stdout.decode()
    scamem("map", "--svg", "map.svg", "--png", "map.png")
    svg = (tmp_path / "map.svg").read_text()
    assert svg.startswith("<svg ")
    assert "numbers" in svg
    png = (tmp_path / "map.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    data = png[png.index(b"IDAT") + 4 : png.index(b"IEND") - 8]
    assert len(zlib.decompress(data)) == height * (1 + 3 * width)


def test_metrics(scamem: Run, filled: str) -> None:
    text = scamem("stat", "--prometheus").stdout.decode()
    assert f'scamem_objects{{arena="{filled}"}} 6\n' in text
    assert "# TYPE scamem_takeovers_total counter\n" in text
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or float(line.split()[-1]) >= 0


def test_arenas(scamem: Run, arenas: Path) -> None:
    assert scamem("arenas").stdout == b"no arenas\n"
    scamem("put", "-", "x", "--arena", "one", input=b"1")
    scamem("put", "-", "x", "--arena", "two", input=b"1")
    found = json.loads(scamem("arenas", "--json").stdout)
    assert {(one["name"], one["path"], one["objects"]) for one in found} == {
        (name, str(arenas / name), 1) for name in ("one", "two")
    }
    assert b"two" in scamem("arenas").stdout


def test_an_arena_that_cannot_be_read_hides_no_other(scamem: Run, arenas: Path) -> None:
    for name in ("one", "three", "two"):
        scamem("put", "-", "x", "--arena", name, input=b"1")
    (arenas / "two" / "control").write_bytes(b"no control file" * 1000)
    listed = scamem("arenas", "--json")
    assert [one["name"] for one in json.loads(listed.stdout)] == ["one", "three"]
    assert b"'two' is not listed" in listed.stderr
    assert len(listed.stderr.splitlines()) == 1


def test_bare_command_prints_its_help(scamem: Run) -> None:
    text = scamem().stdout.decode()
    assert len(text.splitlines()) > 20
    assert text == scamem("--help").stdout.decode()


def test_module_is_the_command(environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "scamem", "--version"],
        env=environment,
        capture_output=True,
        check=True,
    )
    assert ended.stdout.startswith(b"scamem ")


@pytest.mark.parametrize(("typed", "meant"), [("lss", "ls"), ("stats", "stat"), ("Top", "top")])
def test_a_misspelled_command(scamem: Run, typed: str, meant: str) -> None:
    assert f"Did you mean {meant!r}?" in scamem(typed, code=2).stderr.decode()


def test_rm_of_a_prefix_says_what_is_there(scamem: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", w1=np.ones(3))
    scamem("put", "in.npz", "model")
    said = scamem("rm", "model", code=1).stderr.decode()
    assert "'model/w1' is there: `scamem rm -r model` removes all of it" in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(scamem: Run, environment: dict[str, str], shell: str) -> None:
    assert b"_SCAMEM_COMPLETE" in scamem("completion", shell).stdout
    asked = {"_SCAMEM_COMPLETE": "bash_complete", "COMP_WORDS": "scamem st", "COMP_CWORD": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "scamem"],
        env={**environment, **asked},
        capture_output=True,
        check=False,
    )
    assert b"stat" in ended.stdout
