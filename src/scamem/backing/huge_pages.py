"""Files of 2 MiB huge pages (hugetlb), and the system's pool of these pages."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import Final

from scamem.errors import OutOfMemoryError

from . import system
from .files import SharedFile
from .text import counted, sized

HUGE_PAGE_BYTES: Final = 2 << 20
HUGE_POOL: Final = "/sys/kernel/mm/hugepages/hugepages-2048kB"
POOL_OF_NODE: Final = "/sys/devices/system/node/node{}/hugepages/hugepages-2048kB"


def memfd(label: str, size: int) -> SharedFile:
    """Make an anonymous file of huge pages, as `SharedFile.memfd`; it takes no pages yet.

    Raises
    ------
    OutOfMemoryError : the kernel has no huge pages of 2 MiB at all.
    """
    try:
        fd = system.memfd_huge(label)
    except OSError as error:
        raise OutOfMemoryError(
            f"asked for {sized(size)} of huge pages; the kernel has none of 2 MiB "
            f"({error.strerror}). Use zone 'NORMAL'",
            asked_bytes=size,
            limit="huge pages",
        ) from error
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        return SharedFile(fd, path=None, label=label)
    except BaseException:
        os.close(fd)
        raise


def allocate(file: SharedFile, offset: int, length: int, node: int | None = None) -> None:
    """Give memory to a range of a file of huge pages: unused pages of the pool.

    No other limit matters: the pool's memory was set aside when it was filled.

    Parameters
    ----------
    node : the pages come from this node's part of the pool. They come from any node with None, or
        if the kernel has no such node or does not allow the choice.

    Raises
    ------
    OutOfMemoryError : the pool, or the node's part of it, has too few free pages; says how to get
        more. Pages that were already allocated stay with the file.
    """
    with contextlib.ExitStack() as policy:
        if node is not None:
            try:
                policy.enter_context(system.bound_to(node))
            except OSError:
                node = None
        try:
            _fallocate(file, offset, length)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT):
                raise
            raise none_left(length, file.label, node) from error


def _fallocate(file: SharedFile, offset: int, length: int) -> None:
    """Allocate; try again after each signal."""
    while True:
        try:
            return system.fallocate(file.descriptor(), system.FALLOC_FL_KEEP_SIZE, offset, length)
        except InterruptedError:
            continue


def none_left(length: int, label: str, node: int | None = None) -> OutOfMemoryError:
    """Return the error for a pool that has too few free pages for `length` bytes.

    Parameters
    ----------
    node : the node whose part of the pool has too few; None: the whole pool.
    """
    pages = length // HUGE_PAGE_BYTES
    if node is None:
        total, free = pool()
        limit, whose = "nr_hugepages", "the pool's"
        more = f"sysctl vm.nr_hugepages={total + pages}"
    else:
        total, free = pool_of_node(node)
        limit, whose = f"nr_hugepages of node {node}", f"node {node}'s"
        more = f"echo {total + pages} > {POOL_OF_NODE.format(node)}/nr_hugepages"
    return OutOfMemoryError(
        f"asked for {counted(pages, 'huge page')} ({sized(length)}) for {label}; {free:,} of "
        f"{whose} {total:,} are free; limit: {limit}. Reserve more, as root: {more}, or use zone "
        "'NORMAL'",
        asked_bytes=length,
        free_bytes=free * HUGE_PAGE_BYTES,
        limit=limit,
    )


def pool_of_node(node: int) -> tuple[int, int]:
    """Return (pages of 2 MiB that the pool has on a node, how many of them are free)."""
    found = {"nr_hugepages": 0, "free_hugepages": 0}
    for name in found:
        with contextlib.suppress(OSError):
            found[name] = int(system.read_text(POOL_OF_NODE.format(node), name))
    return found["nr_hugepages"], found["free_hugepages"]


def pool() -> tuple[int, int]:
    """Return (pages of 2 MiB that the pool has or may have, how many of them are free)."""
    found = {"nr_hugepages": 0, "nr_overcommit_hugepages": 0, "free_hugepages": 0}
    found["surplus_hugepages"] = found["resv_hugepages"] = 0
    for name in found:
        with contextlib.suppress(OSError):
            found[name] = int(system.read_text(HUGE_POOL, name))
            if name == "nr_overcommit_hugepages" and not any(found.values()):
                return 0, 0  # as on most machines; the rest is 0 as well
    total = found["nr_hugepages"] - found["surplus_hugepages"] + found["nr_overcommit_hugepages"]
    more = max(0, found["nr_overcommit_hugepages"] - found["surplus_hugepages"])
    return total, max(0, found["free_hugepages"] - found["resv_hugepages"]) + more
