"""Processes for the tests: forked on demand from one that has the library imported already.

A nursery is a process of its own, of the installed library or of the one with the stop hook. It
joins no arena. `start` forks a victim from it in a few milliseconds, which runs a function of the
tests by its name. Nobody sleeps: victims say when they are ready, and `wait` returns when the
kernel has taken a victim's mappings, and so its slot lock, away.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.backing.children import Failure, Talk

ROOT = Path(__file__).resolve().parent.parent.parent
MESSAGE_BYTES_MAX = 60_000


class Victim(Talk):
    """A process that a test has started, and may kill."""

    def __init__(self, nursery: Nursery, pid: int, read: int, write: int) -> None:
        super().__init__(read, write)
        self.pid = pid
        self._nursery = nursery
        self._status: int | None = None

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a deadly signal and wait for the end; the wait status."""
        if self._status is None:
            os.kill(self.pid, number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end: the wait status. Raises what the victim's function raised."""
        if self._status is None:
            self._status = self._nursery.ask(("wait", self.pid))
            if os.WIFEXITED(self._status) and os.WEXITSTATUS(self._status) == 1:
                while True:  # what it said, then the failure as an AssertionError
                    self.hear()
        return self._status

    def await_stop(self) -> None:
        """Wait until the victim has stopped itself."""
        status = self._nursery.ask(("stopped", self.pid))
        assert os.WIFSTOPPED(status), f"wait status {status:#x}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(EOFError, AssertionError):
            self.kill()
        self.close()


class Nursery:
    """A process that forks victims; ended by `close`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        number = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.death.nursery", str(number)],
            env=dict(environment),
            cwd=ROOT,
            pass_fds=[number],
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """The nursery's own process."""
        return self._process.pid

    def start(self, body: Callable[..., object], *args: object) -> Victim:
        """Fork a victim that runs `body(talk, *args)`, a function of a module of the tests."""
        to_parent, to_victim = os.pipe(), os.pipe()
        try:
            pid = self.ask(("start", body, args), (to_victim[0], to_parent[1]))
        finally:
            os.close(to_victim[0])
            os.close(to_parent[1])
        return Victim(self, pid, to_parent[0], to_victim[1])

    def run(self, body: Callable[..., object], *args: object) -> Any:
        """What `body(*args)` returns in a process of its own, which has ended."""
        with self.start(_answer, body, args) as victim:
            answer = victim.hear()
            victim.wait()
            return answer

    def ask(self, question: tuple[Any, ...], descriptors: tuple[int, ...] = ()) -> int:
        """Send one request and return the number that it answers with."""
        data = pickle.dumps(question)
        assert len(data) <= MESSAGE_BYTES_MAX
        socket.send_fds(self._socket, [data], descriptors)
        answer = self._socket.recv(64)
        if not answer:
            raise AssertionError("the nursery died")
        return int(answer)

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


def _answer(talk: Talk, body: Callable[..., object], args: tuple[object, ...]) -> None:
    talk.say(body(*args))


def _be_victim(descriptors: list[int], body: Callable[..., object], args: tuple[Any, ...]) -> None:
    """Run a victim's function, and never return."""
    status = 1
    try:
        talk = Talk(*descriptors)
        try:
            body(talk, *args)
            status = 0
        except BaseException:  # noqa: BLE001 - told to the test, which raises it
            talk.say(Failure(traceback.format_exc()))
    finally:
        os._exit(status)


def _serve(number: int) -> None:
    import scamem  # noqa: F401 - so that victims need not

    faulthandler.disable()  # deaths on purpose are not reported or dumped
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    control = socket.socket(fileno=number)
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES_MAX, 2)
        if not data:
            return
        kind, *rest = pickle.loads(data)
        if kind != "start":
            flags = os.WUNTRACED if kind == "stopped" else 0
            control.send(b"%d" % os.waitpid(rest[0], flags)[1])
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            _be_victim(descriptors, *rest)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(b"%d" % pid)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
