"""System calls that the standard library does not offer, by ctypes; the only module that does so.

Addresses are ints, sizes are bytes. Each function raises OSError with the kernel's errno. The GIL
is released during the call.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap as _mmap
import os
from array import array
from collections.abc import Iterator
from typing import Final

PAGE_BYTES: Final = _mmap.PAGESIZE
READ_BYTES: Final = 1 << 14
StrPath = str | os.PathLike[str]

PROT_NONE: Final = 0
PROT_READ: Final = _mmap.PROT_READ
PROT_WRITE: Final = _mmap.PROT_WRITE
MAP_SHARED: Final = _mmap.MAP_SHARED
MAP_PRIVATE: Final = _mmap.MAP_PRIVATE
MAP_FIXED: Final = 0x10
MAP_ANONYMOUS: Final = _mmap.MAP_ANONYMOUS
MAP_NORESERVE: Final = 0x4000
MADV_REMOVE: Final = 9
MADV_DONTFORK: Final = 10
MADV_DOFORK: Final = 11
MADV_DONTDUMP: Final = 16
MADV_POPULATE_READ: Final = 22  # Linux 5.14
MADV_POPULATE_WRITE: Final = 23
MREMAP_MAYMOVE: Final = 1
MREMAP_FIXED: Final = 2
FALLOC_FL_KEEP_SIZE: Final = 1

MFD_CLOEXEC: Final = 1
MFD_ALLOW_SEALING: Final = 2
MFD_NOEXEC_SEAL: Final = 8  # Linux 6.3; implies MFD_ALLOW_SEALING

MFD_HUGETLB: Final = 4
MFD_HUGE_2MB: Final = 21 << 26  # log2 of the page size, at its place in the flags

_X86 = os.uname().machine == "x86_64"
_MBIND: Final = 237 if _X86 else 235
_SET_MEMPOLICY: Final = 238 if _X86 else 237
_GET_MEMPOLICY: Final = 239 if _X86 else 236
_MOVE_PAGES: Final = 279 if _X86 else 239
_GETCPU: Final = 309 if _X86 else 168
_MPOL_BIND: Final = 2
_LONG_BITS: Final = 64
NODES_MAX: Final = 1024  # a kernel's maximum: CONFIG_NODES_SHIFT is at most 10

TMPFS_MAGIC: Final = 0x01021994
STATFS_BYTES: Final = 256  # struct statfs is 120 bytes on both platforms; f_type is its first long

_libc = ctypes.CDLL(None, use_errno=True)


def read_text(*path: StrPath) -> str:
    """Read a small file of /proc, /sys or a cgroup; its name is the parts joined.

    Several are read each time that memory comes online: this is a third of what `open` costs.
    """
    fd = os.open(os.path.join(*path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(fd, READ_BYTES), b"")).decode(errors="replace")
    finally:
        os.close(fd)


_size, _address, _offset = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64

_libc.mmap.restype = _size
_libc.mmap.argtypes = [_address, _size, ctypes.c_int, ctypes.c_int, ctypes.c_int, _offset]
_libc.munmap.argtypes = [_address, _size]
_libc.mprotect.argtypes = [_address, _size, ctypes.c_int]
_libc.madvise.argtypes = [_address, _size, ctypes.c_int]
_libc.munlock.argtypes = [_address, _size]
_libc.mremap.restype = _size
_libc.mremap.argtypes = [_address, _size, _size, ctypes.c_int, _address]
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, _offset, _offset]
_libc.syscall.restype = ctypes.c_long
_libc.statfs.argtypes = [ctypes.c_char_p, ctypes.c_void_p]

_FAILED: Final = ctypes.c_size_t(-1).value


def _raise() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def mmap(
    address: int | None, length: int, protection: int, flags: int, fd: int, offset: int
) -> int:
    """Map `length` bytes; return the address. ENOMEM, EINVAL, EACCES, ..."""
    where: int = _libc.mmap(address, length, protection, flags, fd, offset)
    if where == _FAILED:
        raise _raise()
    return where


def munmap(address: int, length: int) -> None:
    """Unmap a range; EINVAL, or ENOMEM if a split needs one mapping too many."""
    if _libc.munmap(address, length) != 0:
        raise _raise()


def mprotect(address: int, length: int, protection: int) -> None:
    """Set the protection of a range of mappings."""
    if _libc.mprotect(address, length, protection) != 0:
        raise _raise()


def madvise(address: int, length: int, advice: int) -> None:
    """Advise about a range of mappings; the advices used here are commands, not hints."""
    if _libc.madvise(address, length, advice) != 0:
        raise _raise()


def munlock(address: int, length: int) -> None:
    """Unlock a range of mappings, even under mlockall()."""
    if _libc.munlock(address, length) != 0:
        raise _raise()


def reserve(length: int) -> int:
    """Reserve inaccessible address space that no fork copies; return its address."""
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    address = mmap(None, length, PROT_NONE, flags, -1, 0)
    try:
        madvise(address, length, MADV_DONTFORK)
    except OSError:
        munmap(address, length)
        raise
    return address


def duplicate_mapping(address: int, length: int, new_address: int | None = None) -> int:
    """Map the shared pages at `address` a second time, without a descriptor; return the address.

    `mremap` with an old size of 0 keeps the old mapping and makes another of the same pages.
    With `new_address` it replaces what is mapped there; protection and advice are copied.

    Raises
    ------
    OSError : EINVAL if the mapping is private; ENOMEM, EFAULT.
    """
    flags = MREMAP_MAYMOVE | (MREMAP_FIXED if new_address is not None else 0)
    where: int = _libc.mremap(address, 0, length, flags, new_address)
    if where == _FAILED:
        raise _raise()
    return where


def populate(address: int, length: int, *, write: bool) -> None:
    """Fill the page tables of a range, so that no later access to it faults.

    Only for ranges that are online: this would allocate other frames without a check of the head
    room.

    Raises
    ------
    OSError : ENOMEM, a part is not mapped; EFAULT, an access would cause SIGBUS; EHWPOISON.
    """
    while True:
        try:
            return madvise(address, length, MADV_POPULATE_WRITE if write else MADV_POPULATE_READ)
        except InterruptedError:
            continue  # Python's signal handlers ran in between


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """Allocate a range of a file; EINTR undoes the step and is raised as InterruptedError."""
    if _libc.fallocate(fd, mode, offset, length) != 0:
        raise _raise()


def memfd_create(label: str) -> int:
    """Make an anonymous file that can be sealed, and not executed if the kernel supports that."""
    try:
        return os.memfd_create(label, MFD_CLOEXEC | MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Linux before 6.3
            raise
    return os.memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING)


def memfd_huge(label: str) -> int:
    """Make an anonymous file of 2 MiB huge pages; ENOENT, EINVAL, ENOSYS if there are none."""
    huge = MFD_HUGETLB | MFD_HUGE_2MB
    try:
        return os.memfd_create(label, MFD_CLOEXEC | MFD_NOEXEC_SEAL | huge)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING | huge)


def current_node() -> int:
    """Return the NUMA node that this thread runs on now; 0 if the kernel does not tell."""
    cpu, node = ctypes.c_uint(), ctypes.c_uint()
    if _libc.syscall(_GETCPU, ctypes.byref(cpu), ctypes.byref(node), None) != 0:
        return 0
    return node.value


def bind(address: int, length: int, node: int) -> None:
    """Place the shared pages of a range on a node, whichever process touches or allocates them.

    Raises
    ------
    OSError : ENOSYS on a kernel without NUMA, EPERM in some containers, EINVAL for no such node.
    """
    place, size = ctypes.c_ulong(address), ctypes.c_ulong(length)
    if _libc.syscall(_MBIND, place, size, _MPOL_BIND, *_node_mask([node]), 0) != 0:
        raise _raise()


def _node_mask(nodes: list[int]) -> tuple[ctypes.Array[ctypes.c_ulong], ctypes.c_ulong]:
    """Return a set of nodes as the kernel reads it: words, and how many bits; it takes one off."""
    mask = (ctypes.c_ulong * (NODES_MAX // _LONG_BITS))()
    for node in nodes:
        if not 0 <= node < NODES_MAX:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        mask[node // _LONG_BITS] |= 1 << node % _LONG_BITS
    return mask, ctypes.c_ulong(NODES_MAX + 1)


def memory_policy() -> tuple[int, list[int]]:
    """Return this thread's own memory policy: its mode with flags, and its nodes.

    Raises
    ------
    OSError : ENOSYS on a kernel without NUMA, EPERM in some containers.
    """
    mode, (mask, bits) = ctypes.c_int(), _node_mask([])
    if _libc.syscall(_GET_MEMPOLICY, ctypes.byref(mode), mask, bits, None, 0) != 0:
        raise _raise()
    return mode.value, [
        node for node in range(NODES_MAX) if mask[node // _LONG_BITS] >> node % _LONG_BITS & 1
    ]


def set_memory_policy(mode: int, nodes: list[int]) -> None:
    """Set this thread's memory policy as `memory_policy` returns it; errors as there, EINVAL."""
    if _libc.syscall(_SET_MEMPOLICY, mode, *_node_mask(nodes)) != 0:
        raise _raise()


@contextlib.contextmanager
def bound_to(node: int) -> Iterator[None]:
    """Take all memory that this thread allocates in the block from one node, and no other.

    Huge pages need this: `fallocate` on their files follows the thread's policy and ignores the
    `bind` of a mapping. The thread's own policy is restored at the end.

    Raises
    ------
    OSError : nothing was changed; ENOSYS, EPERM, EINVAL for no such node.
    """
    before = memory_policy()
    try:
        set_memory_policy(_MPOL_BIND, [node])
        yield
    finally:
        set_memory_policy(*before)


def nodes_of(addresses: array[int]) -> array[int]:
    """Return the node of the page at each address; -2 (ENOENT): no page is mapped."""
    count = len(addresses)
    status = array("i", bytes(4 * count))
    where, into = addresses.buffer_info()[0], status.buffer_info()[0]
    pages, found = ctypes.c_void_p(where), ctypes.c_void_p(into)
    if _libc.syscall(_MOVE_PAGES, 0, ctypes.c_ulong(count), pages, None, found, 0) < 0:
        raise _raise()
    return status


def is_on_tmpfs(path: str) -> bool:
    """Tell whether the file system of `path` is tmpfs, which loses its files at shutdown."""
    found = ctypes.create_string_buffer(STATFS_BYTES)
    if _libc.statfs(os.fsencode(path), found) != 0:
        raise _raise()
    return ctypes.c_long.from_buffer(found).value == TMPFS_MAGIC
