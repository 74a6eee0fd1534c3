"""What the library reports to the logger "scamem"."""

import logging
import os
import signal
import subprocess
import sys

import pytest

from scamem import Arena
from scamem.together import shared

HOLD = """
import os, signal, sys, scamem
held = scamem.Arena.join(sys.argv[1])["x"]
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_members_joined_left_and_reaped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "scamem")
    path = f"/dev/shm/scamem-test-{os.getpid()}-log"
    with Arena.create(path, capacity="64M") as arena:
        try:
            arena["x"] = b"1"
            ended = subprocess.run([sys.executable, "-c", HOLD, path], check=False)
            assert ended.returncode == -signal.SIGKILL
            assert arena.reap() == 1
        finally:
            subprocess.run(
                [sys.executable, "-m", "scamem", "rm", "--whole", "--force", "--arena", path],
                check=True,
            )
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"joined arena {path}",
        f"reaped 1 dead members of arena {path}",
        f"left arena {path}",
    ]


def test_a_ring_without_a_reader(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that waits for a reader which does not exist says so, once."""
    monkeypatch.setattr(shared, "SILENT_S", 0)
    with Arena.create(capacity="64M") as arena:
        ring = arena.ring("4K")
        ring.write(bytes(4096))
        with pytest.raises(TimeoutError):
            ring.write(b"x", timeout=2)
    (record,) = caplog.records
    assert "no process has opened it" in record.getMessage()
    assert record.levelno == logging.WARNING


def test_a_program_that_logs_nothing_imports_no_logging() -> None:
    code = "import sys, scamem; scamem.zeros(3); assert 'logging' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
