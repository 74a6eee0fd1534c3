"""Random operations under random kills, for --soak-seconds; `make test` runs half a minute."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
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
    except subprocess.TimeoutExpired:
        signal_all(started.pid, signal.SIGUSR1)  # they say where they hang: faulthandler
        select.select([], [], [], 1.0)
        signal_all(started.pid, signal.SIGKILL)
        _, errors = started.communicate()
    finally:
        signal_all(started.pid, signal.SIGKILL)
    return started.returncode, errors


def signal_all(session: int, number: int) -> None:
    """Send a signal to every process of a soak."""
    for process in processes.of_session(session, set()):
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(process.pid, number)


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
