"""CPython's own tests of multiprocessing.shared_memory, run on scamem.shared_memory."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

MISSING = 77  # no `test` package; Debian and Fedora have it in a package of its own


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_of_cpython(segments: Path, root: Path, method: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.shared_memory.cpython", method],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode == MISSING:
        pytest.skip(
            "this Python has no `test` package; install libpython3-testsuite, python3-test or the "
            f"like ({ended.stdout.strip()})"
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    ran = re.search(r"^Ran (\d+) tests", ended.stdout, re.MULTILINE)
    assert ran is not None
    assert int(ran[1]) >= 11
    assert ended.stderr == ""
