"""Real processes for the tests: they say when they are ready, and nobody sleeps."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import pickle
import platform
import resource
import signal
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from typing import Any

SYS_CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]
_libc = ctypes.CDLL(None, use_errno=True)


class Talk:
    """One end of a two-way pipe that carries pickled objects."""

    def __init__(self, read: int, write: int) -> None:
        self._read = os.fdopen(read, "rb")
        self._write = os.fdopen(write, "wb")

    def say(self, thing: object = None) -> None:
        pickle.dump(thing, self._write)
        self._write.flush()

    def hear(self) -> Any:
        """What the other end said; EOFError when it is gone."""
        thing = pickle.load(self._read)
        if isinstance(thing, Failure):
            raise AssertionError(f"in the child:\n{thing.text}")
        return thing

    def close(self) -> None:
        self._read.close()
        self._write.close()

    def descriptors(self) -> tuple[int, int]:
        return self._read.fileno(), self._write.fileno()


class Failure:
    def __init__(self, text: str) -> None:
        self.text = text


class Child(Talk):
    def __init__(self, pid: int, read: int, write: int) -> None:
        super().__init__(read, write)
        self.pid = pid
        self._ended = False

    def kill(self) -> None:
        """SIGKILL, and wait until it has left nothing behind."""
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def wait(self) -> int:
        if self._ended:
            return 0
        self._ended = True
        return os.waitpid(self.pid, 0)[1]


def raw_fork() -> int:
    """A fork that no atfork handler, of C or Python, hears of."""
    return int(_libc.syscall(SYS_CLONE, int(signal.SIGCHLD), 0, 0, 0, 0))


@contextlib.contextmanager
def child(body: Callable[[Talk], object], *, fork: Callable[[], int] = os.fork) -> Iterator[Child]:
    """A forked process that runs `body`; killed when the block ends, if it still lives."""
    to_parent, to_child = os.pipe(), os.pipe()
    pid = fork()
    if pid == 0:
        status = 1
        try:
            os.close(to_parent[0])
            os.close(to_child[1])
            faulthandler.disable()  # deaths on purpose are not reported or dumped
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            talk = Talk(to_child[0], to_parent[1])
            try:
                body(talk)
                status = 0
            except EOFError:
                status = 0  # the parent has ended
            except BaseException:  # noqa: BLE001 - told to the parent, which raises it
                talk.say(Failure(traceback.format_exc()))
        finally:
            os._exit(status)
    os.close(to_parent[1])
    os.close(to_child[0])
    started = Child(pid, to_parent[0], to_child[1])
    try:
        yield started
    finally:
        started.kill()
        started.close()


def run_script(script: str) -> str:
    """What a new interpreter prints for `script`; anything on its stderr fails the test."""
    command = [sys.executable, "-c", textwrap.dedent(script)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.stderr, ran.returncode) == ("", 0)
    return ran.stdout


def in_child(body: Callable[[], object]) -> Any:
    """What `body` returns in a forked process of its own; its failure is raised here."""
    with child(lambda talk: talk.say(body())) as started:
        return started.hear()
