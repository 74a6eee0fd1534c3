"""A fork while another thread imports a part of the library for the first time."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from scamem import later

PART = """
import __main__
__main__.begun.set()
__main__.forking.wait()
value = 7
"""
PROGRAM = """
import os, signal, sys, threading
from scamem.later import Later
sys.path.insert(0, sys.argv[1])
begun, forking = threading.Event(), threading.Event()
os.register_at_fork(before=forking.set)  # runs before hooks that were registered earlier
value = Later("part").value

def get():
    try:
        value()
    except TypeError as error:  # 7 is not a function: the whole module was there
        return "'int' object is not callable" in str(error)

importing = threading.Thread(target=get)
importing.start()
begun.wait()
sys.setswitchinterval(60)  # the fork is the next thing that happens, unless it waits
pid = os.fork()
if pid == 0:
    signal.alarm(20)  # half a module is also a lock that nobody gives up
    os._exit(0 if get() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
importing.join()
"""


def test_a_fork_waits_for_an_import_of_another_thread(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text(PART)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.stdout == "0\n", ended.stderr


def test_a_fork_by_the_importing_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is the forking thread's own: nothing waits, and the child can import."""
    found: list[int] = []

    def fork_inside(name: str) -> object:
        pid = os.fork()
        if pid == 0:
            monkeypatch.undo()
            os._exit(later.Later("math").ceil(2.5) != 3)
        found.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return import_module(name)

    monkeypatch.setattr("scamem.later.import_module", fork_inside)
    assert later.Later("math").floor(2.5) == 2
    assert found == [0]
