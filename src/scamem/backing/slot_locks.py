"""Slot locks: a lock that lives exactly as long as an address space.

State. A member's slot n is one byte, 2**41 + n, of the control file, far beyond its data. The
member is alive while that byte is locked. The lock is an open-file-description lock
(`F_OFD_SETLK`) on a description that only one mapped page keeps open.

Steps. `lock_slot`: open the file anew, lock the byte, map one page of that description,
`MADV_DONTFORK`, close the descriptor. `probe_slot`: ask with `F_OFD_GETLK` through the arena's kept
description, which never locks: a description that has a lock does not report it as a conflict. A
child's page is made by its parent in fork's prepare (`inherit`), without DONTFORK; the child's
handler then calls `keep_page`, the parent's calls `unlock_slot`.

Why safe. A mapping keeps its description open after `close()`, so `closerange(3, ...)` cannot drop
the lock. Only the address space has the mapping: a forked child, even of a raw `fork` system call,
does not get it; exec and every death drop it, with the last thread. Dying before the page is
mapped drops the lock with the descriptor. A child that another thread forks between `lock` and
`close` has the *descriptor* for as long as it neither execs nor dies: the slot counts as alive for
that long, which is late, never wrong.

No descriptor is trusted: after `closerange`, the user's next files have our numbers. `reopen`
compares (device, inode) before and after. `probe_slot` compares before, and after an *unlocked*
answer, since another file's byte reads as unlocked too, and a living member would be reaped.

Who finishes. The kernel.

Tried and failed. A lock kept by a descriptor (lost to closerange, inherited by raw forks); POSIX
record locks (dropped by closing any descriptor of the file); pids (reused, and different across
namespaces).

Called from `pthread_atfork` handlers: system calls only, no malloc, no Python, no GIL.
"""

import cython
from cython.cimports.libc.errno import EACCES, EAGAIN, EBADF, errno
from cython.cimports.posix.fcntl import (
    F_UNLCK,
    F_WRLCK,
    O_CLOEXEC,
    O_NOCTTY,
    O_NONBLOCK,
    O_RDWR,
    SEEK_SET,
    fcntl,
    flock,
)
from cython.cimports.posix.fcntl import open as open_file
from cython.cimports.posix.mman import (
    MADV_DONTDUMP,
    MADV_DONTFORK,
    MAP_FAILED,
    MAP_SHARED,
    PROT_READ,
    madvise,
    mmap,
    munmap,
)
from cython.cimports.posix.stat import fstat, lstat, struct_stat
from cython.cimports.posix.unistd import close
from cython.cimports.scamem.backing.slot_words import (
    DIGIT_ZERO,
    F_OFD_GETLK,
    F_OFD_SETLK,
    ONE_PAGE,
    PATH_BYTES,
    SLOT_BYTES_SHIFT,
)


def is_file(fd: cython.int, device: cython.ulonglong, inode: cython.ulonglong) -> cython.bint:
    """Tell whether descriptor `fd` is the file (device, inode) now."""
    found = cython.declare(struct_stat)
    if fstat(fd, cython.address(found)) != 0:
        return False
    return found.st_dev == device and found.st_ino == inode


def reopen(fd: cython.int, device: cython.ulonglong, inode: cython.ulonglong) -> cython.int:
    """Open a new description of the file behind `fd`; -1: not that file, or refused."""
    path = cython.declare(cython.char[PATH_BYTES])
    digits = cython.declare(cython.char[PATH_BYTES])
    prefix: cython.p_const_char = b"/proc/self/fd/"
    end: cython.int = 0
    count: cython.int = 0
    rest: cython.int = fd
    if not is_file(fd, device, inode):
        return -1
    while prefix[end] != 0:
        path[end] = prefix[end]
        end += 1
    while True:
        digits[count] = cython.cast(cython.char, DIGIT_ZERO + rest % 10)
        count += 1
        rest = rest // 10
        if rest == 0:
            break
    while count > 0:
        count -= 1
        path[end] = digits[count]
        end += 1
    path[end] = 0
    # Must not block on a FIFO that another thread opened under our descriptor's number meanwhile.
    again: cython.int = open_file(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    if again >= 0 and not is_file(again, device, inode):
        close(again)
        return -1
    return again


def lock_byte(
    fd: cython.int,
    device: cython.ulonglong,
    inode: cython.ulonglong,
    offset: cython.ulonglong,
    inherit: cython.bint,
    error: cython.p_int,
) -> cython.p_void:
    """Lock one byte of the file behind `fd` for as long as the returned page is mapped.

    NULL: not locked, and `error[0]` says why: EAGAIN, it is locked already; EBADF, the descriptor
    is not the file or cannot be opened anew; else an errno. `inherit`: fork copies the page.
    """
    wanted = cython.declare(flock)
    page: cython.p_void
    error[0] = 0
    again: cython.int = reopen(fd, device, inode)
    if again < 0:
        error[0] = EBADF
        return cython.NULL
    wanted.l_type = F_WRLCK
    wanted.l_whence = SEEK_SET
    wanted.l_start = offset
    wanted.l_len = 1
    wanted.l_pid = 0
    if fcntl(again, F_OFD_SETLK, cython.address(wanted)) != 0:
        error[0] = EAGAIN if errno == EACCES else errno
        close(again)
        return cython.NULL
    page = mmap(cython.NULL, ONE_PAGE, PROT_READ, MAP_SHARED, again, 0)
    if page == MAP_FAILED:
        error[0] = errno
        close(again)  # the last reference to the description: the lock goes with it
        return cython.NULL
    if (not inherit and madvise(page, ONE_PAGE, MADV_DONTFORK) != 0) or madvise(
        page, ONE_PAGE, MADV_DONTDUMP
    ) != 0:
        error[0] = errno
        munmap(page, ONE_PAGE)
        page = cython.NULL
    close(again)
    return page


def lock_slot(
    fd: cython.int,
    device: cython.ulonglong,
    inode: cython.ulonglong,
    slot: cython.ulonglong,
    inherit: cython.bint,
    error: cython.p_int,
) -> cython.p_void:
    """`lock_byte` for a member slot's byte."""
    return lock_byte(fd, device, inode, slot_byte(slot), inherit, error)


def slot_byte(slot: cython.ulonglong) -> cython.ulonglong:
    """Offset of a slot's byte, beyond all data."""
    return (cython.cast(cython.ulonglong, 1) << SLOT_BYTES_SHIFT) + slot


def keep_page(page: cython.p_void) -> cython.int:
    """In the forked child: make the lock page belong to this address space only; 0 or -1."""
    return madvise(page, ONE_PAGE, MADV_DONTFORK)


def unlock_slot(page: cython.p_void) -> cython.int:
    """Unmap the lock page; the lock goes with its last mapping. 0 or -1."""
    return munmap(page, ONE_PAGE)


def probe_byte(
    fd: cython.int,
    device: cython.ulonglong,
    inode: cython.ulonglong,
    offset: cython.ulonglong,
) -> cython.int:
    """Tell whether the lock of a byte is held: 1 locked, 0 unlocked, -1 cannot tell."""
    asked = cython.declare(flock)
    if not is_file(fd, device, inode):
        return -1
    asked.l_type = F_WRLCK
    asked.l_whence = SEEK_SET
    asked.l_start = offset
    asked.l_len = 1
    asked.l_pid = 0
    if fcntl(fd, F_OFD_GETLK, cython.address(asked)) != 0:
        return -1
    if asked.l_type != F_UNLCK:
        return 1
    return 0 if is_file(fd, device, inode) else -1


def probe_slot(
    fd: cython.int,
    device: cython.ulonglong,
    inode: cython.ulonglong,
    slot: cython.ulonglong,
) -> cython.int:
    """Tell whether a member slot's holder is alive: 1 locked, 0 unlocked, -1 cannot tell.

    Needs: the arena's lock held [else the slot's next owner may be reaped], and a descriptor whose
    description never locked.
    """
    return probe_byte(fd, device, inode, slot_byte(slot))


# The same for Python callers: addresses are ints, failures are exceptions.


def leads_to(path: bytes, device: cython.ulonglong, inode: cython.ulonglong) -> cython.int:
    """Tell whether a path is the file (device, inode) now: 1 or 0; -1 if it cannot be checked."""
    found = cython.declare(struct_stat)
    if lstat(path, cython.address(found)) != 0:
        return -1
    return found.st_dev == device and found.st_ino == inode


def is_ours(fd: int, device: int, inode: int) -> bool:
    """Tell whether descriptor number `fd` of this process is the file (device, inode) now."""
    return bool(is_file(fd, device, inode))


def open_again(fd: int, device: int, inode: int) -> int:
    """Open a new description of the file behind `fd`; the caller owns the descriptor.

    Raises
    ------
    OSError : EBADF; `fd` is not the file (device, inode), or cannot be opened anew.
    """
    again: int = reopen(fd, device, inode)
    if again < 0:
        raise OSError(EBADF, f"descriptor {fd} is not the arena's file, or cannot be opened again")
    return again


def hold_byte(fd: int, device: int, inode: int, offset: int, inherit: bool = False) -> int:
    """Lock a byte; return the address of the lock page, which the caller passes to `let_go`.

    Raises
    ------
    BlockingIOError : the lock is held already.
    OSError : EBADF if the descriptor is not the file any more; else the kernel's error.
    """
    error: cython.int = 0
    page: cython.p_void = lock_byte(fd, device, inode, offset, inherit, cython.address(error))
    if page == cython.NULL:
        # OSError picks the subclass by errno: EAGAIN makes a BlockingIOError.
        raise OSError(error, f"byte {offset} could not be locked")
    address: int = cython.cast(cython.size_t, page)
    return address


def hold_slot(fd: int, device: int, inode: int, slot: int, inherit: bool = False) -> int:
    """`hold_byte` for a member slot's byte."""
    offset: int = slot_byte(slot)
    return hold_byte(fd, device, inode, offset, inherit)


def keep(page: int) -> None:
    """Stop forks from copying a lock page that was made with `inherit`."""
    if keep_page(cython.cast(cython.p_void, cython.cast(cython.size_t, page))) != 0:
        raise OSError(errno, "the lock page is not mapped")


def let_go(page: int) -> None:
    """Unmap a lock page; the lock goes with its last mapping."""
    if unlock_slot(cython.cast(cython.p_void, cython.cast(cython.size_t, page))) != 0:
        raise OSError(errno, "the lock page could not be unmapped")


def probe(fd: int, device: int, inode: int, slot: int) -> int:
    """Tell whether a member slot's holder is alive: 1 locked, 0 unlocked, -1 cannot tell."""
    answer: int = probe_slot(fd, device, inode, slot)
    return answer
