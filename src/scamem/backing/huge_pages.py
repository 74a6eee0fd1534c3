"""Files of 2 MiB huge pages (hugetlb), and the system's pool that their pages come from."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import Final

from scamem.errors import OutOfMemoryError

from . import system
from .files import SharedFile
from .text import sized

HUGE_PAGE_BYTES: Final = 2 << 20
HUGE_POOL: Final = "/sys/kernel/mm/hugepages/hugepages-2048kB"


def memfd(label: str, size: int) -> SharedFile:
    """Make an anonymous file of huge pages: as `SharedFile.memfd`; it takes none of them yet.

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


def allocate(file: SharedFile, offset: int, length: int) -> None:
    """Give a range of a file of huge pages memory: pages of the pool, which nobody else has.

    No other limit matters: the pool's memory was set aside when it was filled.

    Raises
    ------
    OutOfMemoryError : the pool has too few free ones; says how to get more.
    """
    done = False
    while not done:
        try:
            system.fallocate(file.descriptor(), system.FALLOC_FL_KEEP_SIZE, offset, length)
            done = True
        except InterruptedError:
            continue
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT):
                raise
            raise none_left(length, file.label) from error


def none_left(length: int, label: str) -> OutOfMemoryError:
    """Return the error for a pool that has too few free pages for so many bytes."""
    total, free = pool()
    return OutOfMemoryError(
        f"asked for {length // HUGE_PAGE_BYTES} huge pages ({sized(length)}) for {label}; "
        f"{free:,} of the pool's {total:,} are free; limit: nr_hugepages. Reserve more, as root: "
        f"sysctl vm.nr_hugepages={total + length // HUGE_PAGE_BYTES}, or use zone 'NORMAL'",
        asked_bytes=length,
        free_bytes=free * HUGE_PAGE_BYTES,
        limit="nr_hugepages",
    )


def pool() -> tuple[int, int]:
    """Return (pages of 2 MiB that the pool has or may have, how many of them are free)."""
    found = {"nr_hugepages": 0, "nr_overcommit_hugepages": 0, "free_hugepages": 0}
    found["surplus_hugepages"] = found["resv_hugepages"] = 0
    for name in found:
        with contextlib.suppress(OSError), open(f"{HUGE_POOL}/{name}") as text:
            found[name] = int(text.read())
    total = found["nr_hugepages"] - found["surplus_hugepages"] + found["nr_overcommit_hugepages"]
    more = max(0, found["nr_overcommit_hugepages"] - found["surplus_hugepages"])
    return total, max(0, found["free_hugepages"] - found["resv_hugepages"]) + more
