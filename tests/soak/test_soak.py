"""Random operations under random kills, for --soak-seconds; `make test` runs half a minute."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak import processes
from tests.soak.report import Report
from tests.soak.supervisor import REPORT

MARGIN_S = 240  # until the last process has ended and all was counted


def soak(folder: Path, seconds: float, seed: int, environment: dict[str, str]) -> tuple[int, str]:
    """Run a soak in a session of its own: its exit status and what it wrote to stderr."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.soak", str(folder), str(seconds), str(seed)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, errors = started.communicate(timeout=seconds + MARGIN_S)
    finally:
        for process in processes.of_session(started.pid, set()):
            os.kill(process.pid, signal.SIGKILL)
    return started.returncode, errors


@pytest.mark.timeout(0)
def test_nothing_is_left(
    soak_seconds: float,
    place: Path,
    stop_environment: dict[str, str],
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(root)
    seed = secrets.randbits(32)
    environment = {**stop_environment, "SCAMEM_DIR": str(place)}
    status, errors = soak(place, soak_seconds, seed, environment)
    again = f"python -m tests.soak FOLDER {soak_seconds:g} {seed}"
    assert (place / REPORT).exists(), f"the soak of `{again}` broke off:\n{errors[-4000:]}"
    report = Report.read(str(place), REPORT)
    with capsys.disabled():
        print(f"\nsoak of {soak_seconds:g} s, seed {seed}\n{report.table()}")
    assert not report.failures, f"`{again}`: {report.failures}\n{errors[-4000:]}"
    assert status == 0
    assert not report.missing(soak_seconds), f"`{again}`: these never happened"
