"""How many bytes can still be taken before the kernel kills a process for them.

Shared memory that goes over a cgroup's limit does not make `fallocate` fail: the kernel kills a
process of the group. So before each step of bringing frames online, the room below every limit is
checked: `memory.max` of each ancestor cgroup (version 2 and 1), the machine's `MemAvailable`, and
the file system of a named arena. This race cannot be closed, since other processes take memory
too. The margin is for them, for page tables (1/512 of what is mapped, in each member), and for one
more step under way.

Page cache counts as room, since the kernel drops it first. Dirty pages do not. Nor does swap, since
pages that must be swapped out first are no room. Shared memory is not in the kernel's
`inactive_file` and `active_file` (it is swap-backed, so it is on the anonymous lists), and needs no
subtraction.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from scamem.errors import OutOfMemoryError

from .system import StrPath, read_text
from .text import sized


class Backed(Protocol):
    """A file that takes memory: the part of it that the limits need."""

    path: str | None

    def descriptor(self) -> int:
        """Return a descriptor of it."""
        ...


PROC: Final = "/proc"
MARGIN_SHARE: Final = 64  # the margin is 1/64 of the limit,
MARGIN_BYTES_MIN: Final = 16 << 20  # but at least one step of another member,
MARGIN_BYTES_MAX: Final = 512 << 20  # and limited on big machines
UNLIMITED_BYTES: Final = 1 << 60  # version 1 writes "no limit" as a number near 2**63
GIB: Final = 1 << 30
CAPACITY_BYTES_MIN: Final = 64 << 20
COVERED_BYTES: Final = 512 << 10  # after a look, by its margin: a fraction of the least one,
COVERED_NS: Final = 20_000_000  # and for a moment
MAPS_PIECE_BYTES: Final = 32 << 10
ADDRESS_SPACE_SHARE: Final = 4  # two direct maps, vmaps, and the rest of the process


class Room(NamedTuple):
    """What one limit leaves.

    Attributes
    ----------
    name : the name of the limit in messages.
    limit_bytes : the limit itself.
    free_bytes : bytes that may still be taken, without the margin; never negative.
    """

    name: str
    limit_bytes: int
    free_bytes: int


class _Cgroup(NamedTuple):
    """A directory of the memory controller, and the names of its files."""

    directory: str
    limit: str
    usage: str
    prefix: str  # of the keys of memory.stat that count the whole subtree

    def room(self) -> Room | None:
        """Return the room below this group's limit; None if it has none, or has just gone away."""
        try:
            limit = read_text(self.directory, self.limit).strip()
            if limit == "max" or int(limit) >= UNLIMITED_BYTES:
                return None
            used = int(read_text(self.directory, self.usage))
            held = _table(read_text(self.directory, "memory.stat"))
        except OSError:
            return None
        get = {key: held.get(self.prefix + key, 0) for key in _CACHE_KEYS}
        dirty = get["file_dirty"] + get["file_writeback"] + get["dirty"] + get["writeback"]
        cache = max(0, get["inactive_file"] + get["active_file"] - dirty)
        return _room(f"cgroup {self.limit} of {self.directory}", int(limit), used - cache)


_CACHE_KEYS: Final = (
    "inactive_file",
    "active_file",
    "file_dirty",
    "file_writeback",
    "dirty",  # these two are version 1's
    "writeback",
)


class _Covered(NamedTuple):
    """How much may be taken after a look, until when, and from where."""

    left_bytes: int
    until_ns: int
    place: tuple[str, str | None]


_covered = _Covered(0, 0, ("", None))
_known_cgroups: dict[tuple[str, str], tuple[_Cgroup, ...]] = {}


def _room(name: str, limit_bytes: int, used_bytes: int) -> Room:
    margin = min(max(limit_bytes // MARGIN_SHARE, MARGIN_BYTES_MIN), MARGIN_BYTES_MAX)
    return Room(name, limit_bytes, max(0, limit_bytes - used_bytes - margin))


def _table(text: str) -> dict[str, int]:
    fields = (line.split() for line in text.splitlines())
    return {field[0].rstrip(":"): int(field[1]) for field in fields if len(field) > 1}


def cgroups(proc: StrPath = PROC) -> tuple[_Cgroup, ...]:
    """Return this process's memory cgroups, innermost first; caches directories, not values."""
    try:
        text = read_text(proc, "self/cgroup")
    except OSError:
        return ()
    key = (os.fspath(proc), text)  # a process that was moved reads another text
    if key not in _known_cgroups:
        _known_cgroups[key] = tuple(_find_cgroups(text, read_text(proc, "self/mountinfo")))
    return _known_cgroups[key]


def _find_cgroups(cgroup: str, mountinfo: str) -> Iterator[_Cgroup]:
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        version2 = controllers == ""
        if not version2 and "memory" not in controllers.split(","):
            continue
        names = (
            ("memory.max", "memory.current", "")
            if version2
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        )
        for root, point in _cgroup_mounts(mountinfo, version2=version2):
            for directory in _ancestors(root, point, path):
                if os.path.exists(os.path.join(directory, names[1])):
                    yield _Cgroup(directory, *names)


def _cgroup_mounts(mountinfo: str, *, version2: bool) -> Iterator[tuple[str, str]]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        wanted = "cgroup2" if version2 else "cgroup"
        if kind == wanted and (version2 or "memory" in options.split(" ")[-1].split(",")):
            fields = before.split(" ")
            yield _unescaped(fields[3]), _unescaped(fields[4])


def _unescaped(field: str) -> str:
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _ancestors(root: str, point: str, path: str) -> Iterator[str]:
    """Yield the directories from the process's group up to the mount point.

    In a container, the mount may begin at the group itself (`root`), or the group may be outside
    the namespace (a path with `..`). Then the mount point is the innermost visible group.
    """
    inside = path.removeprefix(root.rstrip("/")) if path.startswith(root) else ""
    names = [name for name in inside.split("/") if name]
    if ".." in names:
        names = []
    while names:
        yield os.path.join(point, *names)
        names.pop()
    yield point


def machine(proc: StrPath = PROC) -> Room:
    """Return the room in the machine's memory."""
    text = read_text(proc, "meminfo")
    total, available = _kib(text, "MemTotal:"), _kib(text, "MemAvailable:")
    return _room("MemAvailable of the machine", total << 10, (total - available) << 10)


def _kib(text: str, key: str) -> int:
    return int(text.partition(key)[2].split(maxsplit=1)[0])


def mount(file: Backed) -> Room | None:
    """Return the room in a named file's file system; None for memfds: their mount has no limit.

    No margin is kept back here: a full file system fails cleanly.
    """
    if file.path is None:
        return None
    found = os.fstatvfs(file.descriptor())
    if found.f_blocks == 0:
        return None
    free = found.f_bavail * found.f_frsize
    return Room(f"file system of {file.path}", found.f_blocks * found.f_frsize, free)


def rooms(file: Backed | None = None, *, proc: StrPath = PROC) -> list[Room]:
    """Return what each limit leaves for this process and file, tightest first."""
    found = [group.room() for group in cgroups(proc)]
    found.append(machine(proc))
    if file is not None:
        found.append(mount(file))
    return sorted((room for room in found if room is not None), key=lambda room: room.free_bytes)


def require(nbytes: int, file: Backed | None = None, *, proc: StrPath = PROC) -> None:
    """Refuse an allocation now that would get a process killed later.

    The margin also covers small parts that are asked for just after a look, so bringing memory
    online looks once, and not for each table that grows with it.

    Raises
    ------
    OutOfMemoryError : the tightest limit, which it names, leaves less than `nbytes`.
    """
    global _covered
    now_ns = time.monotonic_ns()
    place = os.fspath(proc), None if file is None else file.path
    if nbytes <= _covered.left_bytes and now_ns < _covered.until_ns and place == _covered.place:
        _covered = _covered._replace(left_bytes=_covered.left_bytes - nbytes)
        return
    tightest = rooms(file, proc=proc)[0]
    if tightest.free_bytes < nbytes:
        raise OutOfMemoryError(
            f"asked for {sized(nbytes)} more memory; {sized(tightest.free_bytes)} can still be "
            f"used; limit: {tightest.name}, {sized(tightest.limit_bytes)}, less a margin. "
            "Drop objects (see scamem ls), trim() the arena, or raise the limit",
            asked_bytes=nbytes,
            free_bytes=tightest.free_bytes,
            limit=tightest.name,
        )
    _covered = _Covered(COVERED_BYTES, now_ns + COVERED_NS, place)


def default_capacity_bytes(proc: StrPath = PROC) -> int:
    """Return the default capacity of an arena: as much as could ever be online.

    Capacity is address space, not memory, so there is no reason for less than the machine's memory
    or the tightest cgroup's limit, rounded up to whole GiB. Only RLIMIT_AS and RLIMIT_FSIZE make
    address space and file size scarce.
    """
    limits = [room.limit_bytes for room in rooms(proc=proc)]
    capacity = -(-min(limits) // GIB) * GIB
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY:
        left = space - _address_space_bytes()
        capacity = min(capacity, max(left // ADDRESS_SPACE_SHARE, CAPACITY_BYTES_MIN))
    size = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if size != resource.RLIM_INFINITY:
        capacity = min(capacity, size)
    return capacity


def _address_space_bytes() -> int:
    return int(read_text(PROC, "self/statm").split()[0]) * resource.getpagesize()


def mappings_in_use() -> int:
    """Return the number of mappings of this process now."""
    # In small pieces: malloc needs a mapping for a large buffer, and there may be none left.
    with open("/proc/self/maps", "rb", buffering=0) as maps:
        return sum(piece.count(b"\n") for piece in iter(lambda: maps.read(MAPS_PIECE_BYTES), b""))


def mappings_max() -> int:
    """Return the number of mappings that a process may have, `vm.max_map_count`."""
    return int(read_text(PROC, "sys/vm/max_map_count"))


def address_space_error(asked_bytes: int) -> OutOfMemoryError:
    """Return the error for a mapping that failed with ENOMEM; it names the limit that caused it."""
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    used = _address_space_bytes()
    free = 0
    if space != resource.RLIM_INFINITY and used + asked_bytes > space:
        limit, free = "RLIMIT_AS", max(0, space - used)
        remedy = f"{sized(free)} of {sized(space)} left. Ask for less capacity, or raise ulimit -v"
    elif mappings_in_use() + 1 >= mappings_max():
        limit = "vm.max_map_count"
        remedy = f"all {mappings_max():,} mappings are in use. Close views, or raise the sysctl"
    else:
        limit = "address space or memory of the kernel"
        remedy = "RLIMIT_AS and vm.max_map_count are not the cause. Free memory of the machine"
    return OutOfMemoryError(
        f"asked to map {sized(asked_bytes)}; limit: {limit}: {remedy}",
        asked_bytes=asked_bytes,
        free_bytes=free,
        limit=limit,
    )
