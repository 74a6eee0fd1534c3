"""An arena directory of its own for each test, and the command line as a process."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .warm import Warm

COMMAND = [sys.executable, "-m", "scamem.cli"]
Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def arenas() -> Iterator[Path]:
    """A directory on tmpfs for named arenas, set as SCAMEM_DIR."""
    place = tempfile.mkdtemp(prefix="scamem-test-", dir="/dev/shm")
    yield Path(place)
    shutil.rmtree(place)


@pytest.fixture
def environment(arenas: Path) -> dict[str, str]:
    """The environment of commands and of other processes of a test."""
    kept = {name: value for name, value in os.environ.items() if name != "SCAMEM_ARENA"}
    return {**kept, "SCAMEM_DIR": str(arenas)}


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """A process that forks a child for each command."""
    made = Warm()
    yield made
    made.close()


@pytest.fixture
def scamem(environment: dict[str, str], tmp_path: Path, warm: Warm) -> Run:
    """Run the command line; every end but success is one line on stderr.

    findings : of `check`, they are what was asked for and stand on stdout.
    """

    def run(
        *arguments: str,
        code: int = 0,
        findings: bool = False,
        input: bytes = b"",  # noqa: A002 - as in subprocess.run
    ) -> subprocess.CompletedProcess[bytes]:
        ended = warm.run(list(arguments), environment, str(tmp_path), input)
        errors = ended.stderr.decode()
        assert ended.returncode == code, errors
        assert "Traceback" not in errors
        if findings:
            assert errors == ""
        elif code:
            assert len(errors.splitlines()) == 1
            assert errors.startswith("scamem: ")
        return ended

    return run
