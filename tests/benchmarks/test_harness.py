"""The benchmarks run and say what they should; no time is judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rich")

ROOT = Path(__file__).parents[2]
NAMES = ["alloc", "pin", "put-get", "in-place", "scatter", "vmap", "metadata", "page-tables"]
KEYS = {"benchmark", "what", "who", "unit", "median", "low", "high", "runs", "budget", "ratio"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmarks as a user does."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_quick_run_writes_every_benchmark(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    done = run(*NAMES, "--quick", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(file.read_text())
    assert {"date", "cores", "kernel", "python", "numpy", "load"} <= found["machine"].keys()
    assert {result["benchmark"] for result in found["results"]} == set(NAMES)
    for result in found["results"]:
        assert result.keys() >= KEYS
        if result["runs"]:
            assert result["low"] <= result["median"] <= result["high"]
        else:
            assert result["note"], "what was not measured says why"


def test_unknown_name_is_refused_with_those_that_exist() -> None:
    done = run("nonsense")
    assert done.returncode == 2
    assert "put-get-two" in done.stderr
