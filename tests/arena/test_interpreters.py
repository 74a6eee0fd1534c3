"""Only the main interpreter can be a member; another one is refused before it spoils anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
try:
    import _interpreters as interpreters
    other = interpreters.create("legacy")
    run = lambda text: str(interpreters.exec(other, text) or "")
except ImportError:
    import _xxsubinterpreters as interpreters
    other = interpreters.create(isolated=False)
    def run(text):
        try:
            interpreters.run_string(other, text)
        except interpreters.RunFailedError as error:
            return str(error)
        return ""

for _ in range(2):
    refused = run("import scamem")
    assert "PlatformError" in refused and "main interpreter" in refused, refused
interpreters.destroy(other)

import scamem  # the main interpreter is none the worse for it
x = scamem.ones(3)
assert x.sum() == 3 and scamem.default().check() == []
print("both as they should be")
"""


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="another Python")
def test_a_subinterpreter_is_refused_and_the_main_one_works() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "both as they should be\n", "")
