"""One file of an arena, control or frames: made, opened, mapped, allocated and punched.

No kept descriptor is trusted. After a `closerange(3, ...)` in daemonizing code, the user's next
files have our numbers, so `descriptor()` compares (device, inode) before each use. A descriptor
that is not ours is neither used nor closed; the file is opened again by its path or from other
members' descriptor tables. Operations that could harm another file are also safe against a change
between the comparison and the use: a mapping is compared again after it is made, allocation never
changes a file's size, and holes are punched through a mapping, which no closing can redirect.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from collections.abc import Callable, Iterable
from typing import Final

from scamem.errors import (
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRefusedError,
    BlindError,
    OutOfMemoryError,
)

from . import head_room, slot_locks, system
from .descriptor import Descriptor
from .text import sized

DOOR_BYTE: Final = 1 << 40  # the byte of the door's lock; beyond all data, below the slots' bytes
SLOT_BYTES_AT: Final = 1 << 41  # slot n's lock is byte SLOT_BYTES_AT + n (slot_locks.pxd)
SIZE_BYTES_MAX: Final = DOOR_BYTE  # so that no lock byte overlaps data
ALLOCATE_STEP_BYTES: Final = 16 << 20  # between two checks of the head room; some 4 ms
INTERRUPTED_STEP_BYTES: Final = 256 << 10  # if signals arrive faster than a step ends
BLOCK_BYTES: Final = 512  # the unit of st_blocks
ATTEMPTS: Final = 8  # how often a descriptor may be stolen during one call

_OPEN_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def nobody() -> Iterable[int]:
    """Return no pids: no other member is known yet."""
    return ()


class SharedFile:
    """A file whose pages several processes share.

    Attributes
    ----------
    size : bytes; fixed when the file is made.
    path : its path, or None for a memfd.
    device, inode : its identity.
    label : the name of a memfd in `/proc/<pid>/fd`, or the path's last part.
    kept : the kept descriptor, which other code may have closed: see `descriptor`.
    other_pids : called if the kept descriptor was lost; returns the pids of other members, whose
        descriptor tables are searched for the file.

    Ownership: it owns one descriptor, with a description that never locks, and none of the
    mappings made by `map`. Threads: any. fork: the child's copy works and shares the description.
    """

    def __init__(self, fd: int, *, path: str | None, label: str) -> None:
        found = os.fstat(fd)
        self.size = found.st_size
        self.device = found.st_dev
        self.inode = found.st_ino
        self.kept = Descriptor(fd, found.st_dev, found.st_ino)
        self.path = path
        self.label = label
        self.other_pids: Callable[[], Iterable[int]] = nobody

    def __repr__(self) -> str:
        return f"SharedFile({self.path or self.label!r}, {sized(self.size)})"

    @classmethod
    def memfd(cls, label: str, size: int) -> SharedFile:
        """Make an anonymous file of `size` bytes, all of it a hole.

        It is in no directory, and is freed with its last mapping and descriptor. It is sealed
        against shrinking, so no truncation can cause SIGBUS in a mapping of it.

        Raises
        ------
        OutOfMemoryError : `size` is beyond RLIMIT_FSIZE, or the kernel has no memory for it.
        """
        _check_size(size)
        fd = system.memfd_create(label)
        try:
            _set_size(fd, size)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd, path=None, label=label)

    @classmethod
    def create(cls, path: str | os.PathLike[str], size: int) -> SharedFile:
        """Make a named file of `size` bytes, all of it a hole, that only its owner may open.

        Raises
        ------
        ArenaExistsError : there is something at `path`.
        OutOfMemoryError : `size` is beyond RLIMIT_FSIZE, or what the file system supports.
        """
        _check_size(size)
        name = os.fspath(path)
        try:
            fd = os.open(name, _OPEN_FLAGS | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            raise ArenaExistsError(f"{name} already exists; open it, or remove it first") from None
        try:
            os.fchmod(fd, 0o600)  # regardless of the umask
            _set_size(fd, size)
        except BaseException:
            os.close(fd)
            os.unlink(name)
            raise
        return cls(fd, path=name, label=os.path.basename(name))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> SharedFile:
        """Open a named file, and trust it only if its owner, type and mode are right.

        Raises
        ------
        ArenaNotFoundError : nothing is there.
        ArenaRefusedError : it is a link, not a regular file, another user's, open to others, or
            has a second name; `reason` says which.
        """
        name = os.fspath(path)
        try:
            before = os.lstat(name)
        except FileNotFoundError:
            raise ArenaNotFoundError(f"{name} does not exist; create the arena first") from None
        check_trust(name, before)  # never open a FIFO or a device
        fd = os.open(name, _OPEN_FLAGS | os.O_NOFOLLOW)
        try:
            check_trust(name, os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        return cls(fd, path=name, label=os.path.basename(name))

    @classmethod
    def from_descriptor(
        cls,
        fd: int,
        *,
        pid: int | None = None,
        path: str | None = None,
        label: str = "",
        sealed: bool = True,
    ) -> SharedFile:
        """Open anew the file behind a descriptor of this process, or of process `pid`.

        `sealed`: refuse a file without a path that others could shrink.

        Raises
        ------
        ArenaRefusedError : not a regular file, or a memfd that others may shrink; from another
            process also: a file of another user.
        OSError : there is no such descriptor, or no permission to look at it.

        Ownership: `fd` stays the caller's; the new file has its own description.
        """
        link = f"/proc/{'self' if pid is None else pid}/fd/{fd}"
        _check_foreign(link, os.stat(link), own=pid is None)
        again = os.open(link, _OPEN_FLAGS)
        try:
            _check_foreign(link, os.fstat(again), own=pid is None)
            if sealed:
                _check_sealed(link, again, path)
            label = label or _label(again)
        except BaseException:
            os.close(again)
            raise
        return cls(again, path=path, label=label)

    def is_ours(self, fd: int) -> bool:
        """Tell whether a descriptor number of this process is this file now."""
        return bool(slot_locks.is_ours(fd, self.device, self.inode))

    def descriptor(self) -> int:
        """The kept descriptor, after comparing it with the file's identity.

        Raises
        ------
        BlindError : it was closed or replaced, and the file cannot be reached any more.

        Ownership: it stays this object's; use it at once, do not keep or close it.
        """
        if not self.kept.is_ours():
            self.kept.replace(self._get_again())
        return self.kept.fd

    def _get_again(self) -> int:
        links = [self.path] if self.path is not None else []
        for link in links:
            fd = self._open_same(link)
            if fd is not None:
                return fd
        for pid in (os.getpid(), *self.other_pids()):
            for link in descriptor_links(pid):
                fd = self._open_same(link)
                if fd is not None:
                    return fd
        raise BlindError(
            f"the descriptor of {self.path or self.label} was closed or replaced by other code in "
            "this process, and the file cannot be reached by its path or through another "
            "member. Mapped memory stays usable. To reach the rest of the arena, keep scamem's "
            "descriptors open, or use a named arena"
        )

    def _open_same(self, link: str) -> int | None:
        try:
            found = os.stat(link)
            if (found.st_dev, found.st_ino) != (self.device, self.inode):
                return None
            fd = os.open(link, _OPEN_FLAGS)
        except OSError:
            return None  # gone, or not permitted: try the next one
        if self.is_ours(fd):
            return fd
        os.close(fd)
        return None

    def map(
        self,
        offset: int,
        length: int,
        *,
        writable: bool = True,
        address: int | None = None,
        inherit: bool = False,
    ) -> int:
        """Map a range of the file, shared; return the address.

        Parameters
        ----------
        offset, length : bytes, multiples of the page size.
        address : replace the caller's reservation there; None: the kernel chooses.
        inherit : whether a forked child gets the mapping.

        Raises
        ------
        OutOfMemoryError : RLIMIT_AS, vm.max_map_count or the kernel's memory; `limit` names it.
        BlindError : the file cannot be reached.

        Ownership: the caller owns the mapping and unmaps it with `unmap`. It is not in core dumps.
        A child forked meanwhile could never touch it: it can be touched only once MADV_DONTFORK is
        set.
        """
        flags = system.MAP_SHARED | system.MAP_NORESERVE
        flags |= system.MAP_FIXED if address is not None else 0
        protection = system.PROT_READ | (system.PROT_WRITE if writable else 0)
        for _ in range(ATTEMPTS):
            fd = self.descriptor()
            try:
                where = system.mmap(address, length, system.PROT_NONE, flags, fd, offset)
            except OSError as error:
                if error.errno == errno.ENOMEM:
                    raise head_room.address_space_error(length) from error
                if not self.is_ours(fd):
                    continue
                raise
            try:
                if not self.is_ours(fd):
                    continue  # the descriptor was replaced meanwhile: this may map another file
                if not inherit:
                    system.madvise(where, length, system.MADV_DONTFORK)
                system.madvise(where, length, system.MADV_DONTDUMP)
                system.mprotect(where, length, protection)
                done, where = where, 0
                return done
            except OSError as error:
                if error.errno == errno.ENOMEM:
                    raise head_room.address_space_error(length) from error
                raise
            finally:
                if where:
                    _take_back(where, length, fixed=address is not None)
        raise BlindError(f"other code in this process keeps closing the descriptor of {self.label}")

    @staticmethod
    def unmap(address: int, length: int) -> None:
        """Unmap a range made by `map`; no array may use it any more."""
        system.munmap(address, length)

    def allocated_bytes(self) -> int:
        """Return the bytes of the file that have memory now, in RAM or in swap."""
        return os.fstat(self.descriptor()).st_blocks * BLOCK_BYTES

    def allocate(
        self, offset: int, length: int, *, progress: Callable[[int], object] | None = None
    ) -> None:
        """Give a range memory, in steps; pages that already have memory are left as they are.

        Before each step the head room is checked, since at a cgroup's limit the kernel does not
        fail but kills. This race cannot be closed: others may take the room meanwhile.

        A file does not tell which of its untouched pages have memory (SEEK_DATA takes allocated
        pages for holes), only how many. So a step asks for at most what the whole file still
        lacks: a full file needs no head room, and a partly full one never asks for too little.

        Parameters
        ----------
        progress : called after each step with the bytes done so far.

        Raises
        ------
        OutOfMemoryError : `limit` names the limit that was reached. Earlier steps stay allocated;
            the kernel undoes a step that fails.
        """
        done, step = 0, ALLOCATE_STEP_BYTES
        while done < length:
            size = min(step, length - done)
            lacking = max(0, self.size - self.allocated_bytes())
            head_room.require(min(size, lacking), self)
            try:
                system.fallocate(self.descriptor(), system.FALLOC_FL_KEEP_SIZE, offset + done, size)
            except InterruptedError:
                step = INTERRUPTED_STEP_BYTES  # the kernel undid it all: a shorter step may finish
                continue
            except OSError as error:
                raise self._allocation_error(error, size) from error
            done += size
            step = min(step * 2, ALLOCATE_STEP_BYTES)
            if progress is not None:
                progress(done)

    def _allocation_error(self, error: OSError, size: int) -> Exception:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM):
            return error
        if error.errno == errno.ENOMEM:
            limit, free = "memory of the machine", head_room.machine().free_bytes
        elif error.errno == errno.EFBIG:
            limit, free = "RLIMIT_FSIZE", 0
        elif self.path is None:
            limit, free = "commit limit (vm.overcommit_memory = 2)", 0
        else:
            room = head_room.mount(self)
            limit, free = f"file system of {self.path}", room.free_bytes if room else 0
        return OutOfMemoryError(
            f"asked for {sized(size)} more for {self.path or self.label}; {sized(free)} free; "
            f"limit: {limit}. Drop objects, or raise the limit",
            asked_bytes=size,
            free_bytes=free,
            limit=limit,
        )

    def punch(self, offset: int, length: int) -> None:
        """Give back a range's memory; it reads as zeros and takes memory again when touched.

        It uses its own mapping: a hole punched through a descriptor that other code has just
        replaced would destroy a user's file.
        """
        address = self.map(offset, length)
        try:
            punch_mapped(address, length)
        finally:
            self.unmap(address, length)

    def close(self) -> None:
        """Close the kept descriptor, if it is still ours; mappings stay."""
        self.kept.close()


def punch_mapped(address: int, length: int) -> None:
    """Give back the memory behind a writable shared mapping to the system."""
    try:
        system.madvise(address, length, system.MADV_REMOVE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        system.munlock(address, length)  # under mlockall() the kernel refuses locked ranges
        system.madvise(address, length, system.MADV_REMOVE)


def descriptor_links(pid: int) -> list[str]:
    """Return paths of a process's descriptors in /proc; none if it is gone or not accessible."""
    table = f"/proc/{pid}/fd"
    try:
        return [f"{table}/{number}" for number in os.listdir(table)]
    except OSError:
        return []


def check_trust(path: str, found: os.stat_result, *, directory: bool = False) -> None:
    """Refuse a file or directory that others made or may change, or that has the wrong type."""
    problem = ""
    if stat.S_ISLNK(found.st_mode):
        reason, problem = "symlink", "is a symbolic link"
    elif not (stat.S_ISDIR if directory else stat.S_ISREG)(found.st_mode):
        reason, problem = "type", f"is not a {'directory' if directory else 'regular file'}"
    elif found.st_uid != os.geteuid():
        reason = "owner"
        problem = f"belongs to user {found.st_uid}, and this process is user {os.geteuid()}"
    elif found.st_mode & 0o077:
        reason = "mode"
        problem = f"can be used by other users (mode {stat.S_IMODE(found.st_mode):04o})"
    elif not directory and found.st_nlink != 1:
        reason, problem = "nlink", f"has {found.st_nlink} names"
    if problem:
        raise ArenaRefusedError(
            f"{path} {problem}; refused. Remove it, or set SCAMEM_DIR to another directory",
            path=path,
            reason=reason,
        )


def _check_foreign(link: str, found: os.stat_result, *, own: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ArenaRefusedError(f"{link} is not a regular file", path=link, reason="type")
    if not own and found.st_uid != os.geteuid():
        raise ArenaRefusedError(
            f"{link} belongs to user {found.st_uid}, and this process is user {os.geteuid()}",
            path=link,
            reason="owner",
        )


def _check_sealed(link: str, fd: int, path: str | None) -> None:
    if path is None and not fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
        raise ArenaRefusedError(
            f"{link} can be truncated by others, which would kill the processes that map it",
            path=link,
            reason="seals",
        )


def _label(fd: int) -> str:
    target = os.readlink(f"/proc/self/fd/{fd}").removesuffix(" (deleted)")
    return os.path.basename(target).removeprefix("memfd:")


def _check_size(size: int) -> None:
    if not 0 < size <= SIZE_BYTES_MAX:
        raise ValueError(f"asked for a file of {size} bytes; 1 to {SIZE_BYTES_MAX} are possible")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and size > limit:
        # Checked beforehand: SIGXFSZ would end a process that restored its default action.
        raise OutOfMemoryError(
            f"asked for a file of {sized(size)}; limit: RLIMIT_FSIZE {sized(limit)}. Ask for less "
            "capacity, or raise the limit (ulimit -f)",
            asked_bytes=size,
            free_bytes=limit,
            limit="RLIMIT_FSIZE",
        )


def _set_size(fd: int, size: int) -> None:
    try:
        os.ftruncate(fd, size)
    except OSError as error:
        if error.errno not in (errno.EFBIG, errno.ENOMEM, errno.ENOSPC):
            raise
        raise OutOfMemoryError(
            f"asked for a file of {sized(size)}; the system refused: {error.strerror}. Ask for "
            "less capacity",
            asked_bytes=size,
            limit="file size",
        ) from error


def _take_back(address: int, length: int, *, fixed: bool) -> None:
    if fixed:  # the reservation belongs to the caller: leave it reserved
        flags = system.MAP_PRIVATE | system.MAP_ANONYMOUS | system.MAP_NORESERVE | system.MAP_FIXED
        system.mmap(address, length, system.PROT_NONE, flags, -1, 0)
        system.madvise(address, length, system.MADV_DONTFORK)
    else:
        system.munmap(address, length)
