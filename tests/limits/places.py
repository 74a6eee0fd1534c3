"""Limits that a test makes for itself: a cgroup, a mount namespace. None outlives the test."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scamem.backing import head_room

CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x44000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def cgroup(limit_bytes: int) -> Iterator[Path]:
    """A memory cgroup of the test's own, below this process's; skips where none is to be had."""
    groups = head_room.cgroups()
    if not groups:
        pytest.skip("no memory cgroup is mounted here")
    made = Path(groups[0].directory) / f"scamem-test-{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made in {made.parent}: {error.strerror}")
    try:
        (made / groups[0].limit).write_text(str(limit_bytes))
        yield made
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"the memory controller cannot be used in {made}: {error}")
    finally:
        made.rmdir()


def enter_cgroup(group: Path) -> None:
    """Move this process; it must end before the cgroup can go."""
    (group / "cgroup.procs").write_text(str(os.getpid()))


def need_root(for_what: str) -> None:
    if os.geteuid() != 0:
        pytest.skip(f"only root may have {for_what}")


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def leave_mounts() -> None:
    """A mount namespace of this process's own: what is mounted from now on is nobody else's."""
    _check(_libc.unshare(CLONE_NEWNS))
    _check(_libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None))


def mount_tmpfs(where: str, options: str = "") -> None:
    _check(_libc.mount(b"tmpfs", where.encode(), b"tmpfs", 0, options.encode()))
