"""Every road into a child, as functions that run a body there and return its wait status."""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from tests.backing.children import raw_fork

Body = Callable[[], object]


def _run(body: Body) -> None:
    """Run a body in a child and end: 0 where it returned something true."""
    status = 1
    try:
        status = 0 if body() else 2
    finally:
        os._exit(status)


def _wait(pid: int, body: Body) -> int:
    if pid == 0:
        _run(body)
    return os.waitpid(pid, 0)[1]


def by_os_fork(body: Body) -> int:
    return _wait(os.fork(), body)


def by_c_fork(body: Body) -> int:
    """A C library's fork: only pthread_atfork hears of it. PyDLL keeps the GIL."""
    return _wait(ctypes.PyDLL(None).fork(), body)


def by_raw_clone(body: Body) -> int:
    """Nothing hears of it."""
    return _wait(raw_fork(), body)


def by_multiprocessing(body: Body) -> int:
    process = multiprocessing.get_context("fork").Process(target=_run, args=(body,))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode << 8


def by_preexec_fn(body: Body) -> int:
    """The body runs between fork and exec; SubprocessError says that it failed."""

    def check() -> None:
        if not body():
            os._exit(2)

    return subprocess.run(["true"], preexec_fn=check, check=False).returncode << 8


READABLE = [by_os_fork, by_c_fork, by_multiprocessing, by_preexec_fn]

LOADER = (
    "import sys, scamem\n"
    "x = scamem.from_handle(bytes.fromhex(sys.argv[1]))\n"
    "sys.exit(0 if int(x.sum()) == int(sys.argv[2]) else 2)\n"
)


def command(handle: bytes, total: int) -> list[str]:
    """A program that reads an array by its handle."""
    return [sys.executable, "-c", LOADER, handle.hex(), str(total)]


def by_subprocess(handle: bytes, total: int) -> int:
    return subprocess.run(command(handle, total), check=False).returncode << 8


def by_subprocess_with_descriptors(handle: bytes, total: int) -> int:
    read, write = os.pipe()
    ran = subprocess.run(command(handle, total), pass_fds=[read, write], check=False)
    os.close(read)
    os.close(write)
    return ran.returncode << 8


def by_posix_spawn(handle: bytes, total: int) -> int:
    pid = os.posix_spawn(sys.executable, command(handle, total), dict(os.environ))
    return os.waitpid(pid, 0)[1]


def quietly() -> None:
    """Deaths on purpose are not reported."""
    faulthandler.disable()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


PROGRAMS = [by_subprocess, by_subprocess_with_descriptors, by_posix_spawn]
