"""What the commands say, and their exit codes."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from scamem.cli.group import COMMANDS
from scamem.cli.run import run

from .conftest import COMMAND, Run

HOLD = """
import sys, scamem
held = scamem.Arena.join("default")[sys.argv[1]]
print(held.sum(), flush=True)
sys.stdin.read()
print(held.sum(), flush=True)
"""


@contextmanager
def holding(environment: dict[str, str], name: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds what a name shows, until its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, name],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def put(scamem: Run, tmp_path: Path, name: str = "x") -> None:
    np.save(tmp_path / "in.npy", np.ones(100_000))
    scamem("put", "in.npy", name)


def test_ls_says_who_holds_what(scamem: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    put(scamem, tmp_path)
    with holding(environment, "x") as process:
        (found,) = json.loads(scamem("ls", "--json").stdout)
        assert found["names"] == ["x"]
        assert found["nr"] == 196
        assert found["runs"] == 1
        assert found["refcount"] == 2
        kinds = {(holder["kind"], holder["pid"]) for holder in found["holders"]}
        assert kinds == {("area", 0), ("member", process.pid)}
        listed = scamem("ls").stdout.decode()
        assert re.search(rf"x +float64 \(100000,\).* 2  pid {process.pid} \S.*: 1 pin\n", listed)
        who = scamem("who", "x").stdout.decode().splitlines()
        assert who[0].endswith("2 references")
        assert "  name x" in who
        assert any(line.startswith(f"  pid {process.pid} ") for line in who)
        assert scamem("who", str(found["index"])).stdout.decode().splitlines() == who
        looked = scamem("top").stdout.decode()
        assert "1 object, 1 name, " in looked
        assert str(process.pid) in looked


def test_rm_disturbs_nobody(scamem: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    put(scamem, tmp_path)
    with holding(environment, "x") as process:
        scamem("rm", "x")
        (found,) = json.loads(scamem("ls", "--json").stdout)
        assert found["names"] == []
        output, _ = process.communicate()
        assert output == "100000.0\n"
    assert json.loads(scamem("ls", "--json").stdout) == []


def test_gc_after_a_kill(scamem: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    put(scamem, tmp_path)
    with holding(environment, "x") as process:
        scamem("rm", "x")
        process.kill()
        process.wait()
    found = json.loads(scamem("gc", "--loans", "--json").stdout)
    assert found["objects"] == 0
    assert found["frames_free"] == found["frames_online"]


def test_stat(scamem: Run, tmp_path: Path) -> None:
    put(scamem, tmp_path)
    stats = json.loads(scamem("stat", "--json").stdout)
    assert stats["objects"] == stats["areas"] == 1
    assert "█" in scamem("stat", "--frames").stdout.decode()
    found = json.loads(scamem("stat", "x", "--json").stdout)
    assert sum(frames for _, frames in found["frames"]) == found["nr"]
    scamem("stat", "x")
    scamem("stat", "y", code=1)


def test_rm_of_members(scamem: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", a=np.arange(5), b=np.ones(3))
    scamem("put", "in.npz", "x")
    scamem("put", "in.npz", "xy")
    scamem("rm", "x", code=1)
    scamem("rm", "-r", "x")
    names = [name for found in json.loads(scamem("ls", "--json").stdout) for name in found["names"]]
    assert sorted(names) == ["xy/a", "xy/b"]


def test_rm_is_all_or_nothing(scamem: Run, tmp_path: Path) -> None:
    put(scamem, tmp_path)
    scamem("rm", "x", "y", code=1)
    assert len(json.loads(scamem("ls", "--json").stdout)) == 1


def test_a_name_that_is_not_there(scamem: Run, tmp_path: Path) -> None:
    """Every command that takes a name says which is missing and how many there are."""
    put(scamem, tmp_path)
    for arguments in (["rm", "nope"], ["stat", "nope"], ["get", "nope", "-"]):
        said = scamem(*arguments, code=1).stderr.decode()
        assert "no object named 'nope' (1 name exists; " in said
    put(scamem, tmp_path, "y")
    assert "(2 names exist; " in scamem("rm", "x", "nope", code=1).stderr.decode()
    assert len(json.loads(scamem("ls", "--json").stdout)) == 2


def test_numbers_and_nouns_agree(scamem: Run) -> None:
    scamem("put", "-", "x", input=b"1")
    said = scamem("stat").stdout.decode()
    assert "(1 frame)" in said
    assert "1 sections" not in said
    freed = scamem("gc").stdout.decode()
    assert freed.startswith("reaped 0 dead processes, dropped 0 unloaded handles; ")
    assert freed.endswith(", 1 object left\n")


def test_rm_of_an_arena(
    scamem: Run, tmp_path: Path, environment: dict[str, str], arenas: Path
) -> None:
    put(scamem, tmp_path)
    with holding(environment, "x") as process:
        assert str(process.pid).encode() in scamem("rm", "--whole", code=1).stderr
        scamem("rm", "--whole", "--force")
        output, _ = process.communicate()
        assert output == "100000.0\n"
    scamem("ls", code=1)
    assert list(arenas.iterdir()) == []


def test_other_arenas(scamem: Run, environment: dict[str, str], arenas: Path) -> None:
    scamem("put", "-", "x", "--arena", "other", input=b"1")
    scamem("ls", code=1)
    assert scamem("get", "x", "-", "--arena", str(arenas / "other")).stdout == b"1"
    environment["SCAMEM_ARENA"] = "other"
    assert scamem("get", "x", "-").stdout == b"1"


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["ls", "--colour"],
        ["put", "file"],
        ["put", "in.npy", "x", "--columns"],
        ["put", "in.npy", "x", "--capacity", "much"],
        ["rm"],
        ["rm", "x", "--whole"],
        ["demo", "--by", "x"],
        ["demo", "--workers", "1"],
    ],
)
def test_wrong_usage(scamem: Run, arguments: list[str]) -> None:
    assert b"--help" in scamem(*arguments, code=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"],
        ["stat"],
        ["gc"],
        ["check"],
        ["rm", "x"],
        ["rm", "--whole"],
        ["get", "x", "file"],
        ["put", "no-such-file", "x"],
        ["put", ".", "x"],
        ["ls", "--arena", "not a name"],
    ],
)
def test_what_is_not_there(scamem: Run, arguments: list[str]) -> None:
    scamem(*arguments, code=1)


def test_get_waits(scamem: Run, environment: dict[str, str]) -> None:
    scamem("put", "-", "other", input=b"1")
    scamem("get", "x", "-", "--wait", "0", code=1)
    command = [*COMMAND, "get", "x", "-", "--wait", "100"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as waiting:
        scamem("put", "-", "x", input=b"at last")
        assert waiting.communicate()[0] == b"at last"


def test_interrupt(scamem: Run, environment: dict[str, str]) -> None:
    scamem("put", "-", "other", input=b"1")
    command = [*COMMAND, "get", "x", "-", "--wait", "100"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as waiting:
        members: list[int] = []
        while waiting.pid not in members:
            stats = json.loads(scamem("stat", "--json").stdout)
            members = [member["pid"] for member in stats["members"]]
        waiting.send_signal(signal.SIGINT)
        _, errors = waiting.communicate()
    assert waiting.returncode == 130
    assert errors.strip() == b"scamem: interrupted"  # on a line of its own, behind the ^C


def test_a_reader_that_has_seen_enough(scamem: Run, environment: dict[str, str]) -> None:
    scamem("put", "-", "x", input=bytes(1 << 20))
    command = [*COMMAND, "get", "x", "-"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert f"Usage: scamem {command}" in capsys.readouterr().out
    assert run(["--help"]) == 0
    assert f"  {command}  " in capsys.readouterr().out


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_the_extra(environment: dict[str, str], package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None\nfrom scamem.cli import main\n"
    ended = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(main(['ls']))"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"scamem: the command line needs {package}: pip install 'scamem[cli]'\n"
    )


def test_the_library_needs_numpy_alone(environment: dict[str, str]) -> None:
    code = "import sys, scamem, scamem.cli; print({'click', 'rich', 'pandas'} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "set()\n"


FILL = """
import os, sys, scamem
arena = scamem.Arena.create("default", capacity=64 << 20, slots=6)
arena["x"] = list(range(1000))
held = arena.zeros(5000)
children = []
for _ in range(2):  # with this process, all three slots
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        assert "x" in arena
        os.write(write, b"x")
        sys.stdin.read()
        os._exit(0)
    os.read(read, 1)
    children.append(pid)
print(os.getpid(), *children, flush=True)
sys.stdin.read()
"""


def test_a_look_needs_no_slot(scamem: Run, environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FILL],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pids = process.stdout.readline().split()
        assert len(pids) == 3
        listed = scamem("ls", "--json")
        objects = json.loads(listed.stdout)
        assert [info["names"] for info in objects] == [["x"], []]
        assert {str(holder["pid"]) for holder in objects[1]["holders"]} == set(pids)
        for pid in pids:
            assert pid in listed.stderr.decode()
        assert b"x " in scamem("ls").stdout
        stats = json.loads(scamem("stat", "--json").stdout)
        assert {str(member["pid"]) for member in stats["members"]} == set(pids)
        assert b"names" in scamem("stat", "--frames").stdout
        assert json.loads(scamem("stat", "x", "--json").stdout)["frames"]
        scamem("check")
        refused = scamem("gc", code=1).stderr.decode()
        assert "3 slots" in refused
        assert all(pid in refused for pid in pids)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    assert json.loads(scamem("stat", "--json").stdout)["areas"] == 1
    assert scamem("ls").stderr == b""
