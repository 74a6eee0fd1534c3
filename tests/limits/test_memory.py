"""Out of memory: a MemoryError that names the limit, nothing half done, and less is to be had."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena, OutOfMemoryError
from tests.backing.children import Talk
from tests.death import operations
from tests.death.nursery import Nursery
from tests.limits import places

MIB = 1 << 20
STEP_BYTES = 4 * MIB


def fill_up(arena: Arena) -> dict[str, Any]:
    """Allocate until there is no more; then what was asked fails whole and less works."""
    held: list[np.ndarray] = []
    error = None
    while error is None:
        try:
            held.append(arena.zeros(STEP_BYTES, np.uint8))
        except OutOfMemoryError as caught:
            error = caught
    assert isinstance(error, MemoryError)
    objects, nbytes = len(arena.objects()), len(held) * STEP_BYTES
    held[-1] = np.empty(0)
    held[-1] = arena.full(STEP_BYTES // 16, 5)  # half of what was dropped
    small = arena.full(1000, 6.0)
    good = bool((held[-1] == 5).all() and (small == 6).all())
    return {
        "limit": error.limit,
        "message": str(error),
        "asked": error.asked_bytes,
        "bytes": nbytes,
        "whole": objects == len(held) and len(arena.objects()) == objects + 1,
        "good": good,
        "reserved": arena.stats().frames_reserved,
        "findings": arena.check(),
    }


def check(found: dict[str, Any], limit: str, low: int, high: int) -> None:
    """What `fill_up` found is as it should be."""
    assert limit in found["limit"], found
    assert limit in found["message"], found
    assert low <= found["bytes"] <= high, found
    assert found["asked"] > 0
    assert (found["whole"], found["good"], found["reserved"]) == (True, True, 0), found
    assert found["findings"] == []


def in_capacity() -> dict[str, Any]:
    return fill_up(Arena.create(capacity=64 * MIB + 1, slots=8))


def test_capacity(nursery: Nursery) -> None:
    check(nursery.run(in_capacity), "capacity", 68 * MIB, 72 * MIB)


def larger_than_capacity() -> tuple[str, str]:
    with (
        Arena.create(capacity=16 * MIB, slots=8) as arena,
        pytest.raises(OutOfMemoryError) as caught,
    ):
        arena.alloc(17 * MIB)
    return caught.value.limit, str(caught.value)


def test_more_than_the_capacity(nursery: Nursery) -> None:
    limit, message = nursery.run(larger_than_capacity)
    assert "capacity" in limit
    assert "4,352 frames" in message
    assert "4,096 frames" in message


def in_cgroup(group: Path) -> dict[str, Any]:
    places.enter_cgroup(group)
    return fill_up(Arena.create(capacity=1024 * MIB, slots=8))


def test_cgroup(nursery: Nursery) -> None:
    """Nobody is killed: the head room is looked at before each step."""
    with places.cgroup(128 * MIB) as group:
        check(nursery.run(in_cgroup, group), "cgroup memory", 64 * MIB, 128 * MIB)


def be_killed(talk: Talk, path: str, group: Path) -> None:
    """Hold objects, then use private memory until the kernel has enough of it."""
    arena = Arena.join(path)
    places.enter_cgroup(group)
    held = [arena.alloc(3 * 4096) for _ in range(3)]
    pins = [obj.pin() for obj in held]
    arena.publish("victim", held[0])
    talk.say(len(pins))
    hoard = []
    while True:
        hoard.append(np.ones(MIB))


def test_member_is_killed_in_its_cgroup(nursery: Nursery, place: Path) -> None:
    arena = Arena.create(str(place / "arena"), capacity=16 * MIB, slots=8)
    arena.alloc(4096).close()
    with places.cgroup(96 * MIB) as group:
        with nursery.start(be_killed, arena.path, group) as victim:
            assert victim.hear() == 3
            assert os.WTERMSIG(victim.wait()) == signal.SIGKILL
    assert arena.reap() == 1
    (info,) = arena.objects()
    assert info.names == ("victim",)
    arena.unpublish("victim")
    assert arena.objects() == []
    assert arena.check() == []
    arena.close()


def in_mount(where: str) -> dict[str, Any]:
    places.leave_mounts()
    places.mount_tmpfs(where, "size=48m,mode=0700")
    return fill_up(Arena.create(where + "/arena", capacity=256 * MIB, slots=8))


def test_mount(nursery: Nursery, tmp_path: Path) -> None:
    places.need_root("a mount of one's own")
    check(nursery.run(in_mount, str(tmp_path)), "file system", 16 * MIB, 48 * MIB)


def with_address_space(nbytes: int) -> list[tuple[str, str]]:
    """Creating fails cleanly, again and again; a smaller arena can be had."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + nbytes, resource.RLIM_INFINITY))
    errors = []
    for _ in range(50):  # what a failed try left mapped would be missing to the last one
        with pytest.raises(OutOfMemoryError) as caught:
            Arena.create(capacity=1024 * MIB, slots=8)
        errors.append((caught.value.limit, str(caught.value)))
    arena = Arena.create(capacity=32 * MIB, slots=8)
    assert (arena.full(MIB, 3.0) == 3).all()
    return errors


def test_address_space(nursery: Nursery) -> None:
    errors = nursery.run(with_address_space, 512 * MIB)
    assert {limit for limit, _ in errors} == {"RLIMIT_AS"}
    assert "ulimit -v" in errors[-1][1]


def default_in_address_space() -> int:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2048 * MIB, resource.RLIM_INFINITY))
    return int(scamem.array(np.arange(1000)).sum())


def test_default_arena_fits_into_the_address_space(nursery: Nursery) -> None:
    assert nursery.run(default_in_address_space) == 499_500


def with_file_size() -> tuple[str, str, dict[str, Any]]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * MIB, resource.RLIM_INFINITY))
    with pytest.raises(OutOfMemoryError) as caught:
        Arena.create(capacity=1024 * MIB, slots=8)
    found = fill_up(Arena.create(capacity=32 * MIB, slots=8))
    return caught.value.limit, str(caught.value), found


def test_file_size(nursery: Nursery) -> None:
    limit, message, found = nursery.run(with_file_size)
    assert limit == "RLIMIT_FSIZE"
    assert "ulimit -f" in message
    check(found, "capacity", 28 * MIB, 32 * MIB)


def test_strict_overcommit(nursery: Nursery) -> None:
    if Path("/proc/sys/vm/overcommit_memory").read_text().strip() != "2":
        pytest.skip("vm.overcommit_memory is not 2, and no test changes a setting of the machine")
    check(nursery.run(in_capacity), "capacity", 68 * MIB, 72 * MIB)


def with_small_shm() -> dict[str, Any]:
    places.leave_mounts()
    places.mount_tmpfs("/dev/shm", "size=64m")
    return fill_up(Arena.create(capacity=256 * MIB, slots=8))


def without_shm() -> dict[str, Any]:
    places.leave_mounts()
    places.mount_tmpfs("/dev", "size=1m")
    assert not Path("/dev/shm").exists()
    return fill_up(Arena.create(capacity=256 * MIB, slots=8))


@pytest.mark.parametrize("body", [with_small_shm, without_shm])
def test_dev_shm_does_not_matter(nursery: Nursery, body: Callable[[], dict[str, Any]]) -> None:
    places.need_root("a mount namespace of one's own")
    check(nursery.run(body), "capacity", 252 * MIB, 256 * MIB)


def crash(talk: Talk, where: str) -> None:
    os.chdir(where)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    arena = Arena.create(capacity=512 * MIB, slots=8)
    shared = arena.full(256 * MIB, 1, np.uint8)
    talk.say(int(shared[-1]))
    os.abort()


def test_core_dump_is_small(nursery: Nursery, tmp_path: Path) -> None:
    core = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if core.startswith("|") or "/" in core:
        pytest.skip(f"cores go elsewhere on this machine: {core}")
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("the hard limit of core files is 0")
    with nursery.start(crash, str(tmp_path)) as victim:
        assert victim.hear() == 1
        status = victim.wait()
    assert os.WTERMSIG(status) == signal.SIGABRT
    if not os.WCOREDUMP(status):
        pytest.skip("the kernel wrote no core (its file system may not allow it)")
    (found,) = tmp_path.iterdir()
    size = found.stat().st_blocks * 512
    found.unlink()
    print(f"the core has {size / MIB:.0f} MiB; the arena had 256 MiB of data")
    assert size < 128 * MIB


def refused(path: str) -> tuple[str, str]:
    """How joining and creating at a path fail."""
    with pytest.raises(scamem.ArenaRefusedError) as caught:
        Arena.join(path)
    with contextlib.suppress(scamem.ArenaExistsError, scamem.ArenaRefusedError):
        Arena.open(path)
        raise AssertionError("opened what cannot be joined")
    return caught.value.reason, str(caught.value)


def snapshot(directory: Path) -> dict[str, tuple[bytes, int, int, int]]:
    """Contents, times and owner of an arena's files."""
    found = {}
    for file in (directory, *sorted(directory.iterdir())):
        stat = file.stat()
        data = file.read_bytes()[: 1 << 16] if file.is_file() else b""
        found[file.name] = (data, stat.st_mtime_ns, stat.st_uid, stat.st_size)
    return found


def test_foreign_arenas_are_refused_untouched(place: Path, nursery: Nursery) -> None:
    def change_owner(directory: Path) -> None:
        for file in (*directory.iterdir(), directory):
            os.chown(file, 12345, 12345)

    def truncate(directory: Path) -> None:
        os.truncate(directory / "frames", 8 * MIB)

    def truncate_control(directory: Path) -> None:
        os.truncate(directory / "control", 4096)

    def change_version(directory: Path) -> None:
        operations.Hook(str(directory)).write(1, 99)  # HEADER_VERSION

    changes = {
        "truncated frames": (truncate, "frames"),
        "truncated control": (truncate_control, "bytes"),
        "other version": (change_version, "version 99"),
    }
    if os.geteuid() == 0:
        changes["another user's"] = (change_owner, "user 12345")
    for name, (change, said) in changes.items():
        directory = place / name.replace(" ", "-").replace("'", "")
        Arena.create(str(directory), capacity=16 * MIB, slots=8).close()
        change(directory)
        before = snapshot(directory)
        _, message = nursery.run(refused, str(directory))
        assert said in message, name
        assert snapshot(directory) == before, name


def test_symlink_is_refused(place: Path, nursery: Nursery) -> None:
    Arena.create(str(place / "arena"), capacity=16 * MIB, slots=8).close()
    (place / "link").symlink_to(place / "arena")
    before = snapshot(place / "arena")
    reason, message = nursery.run(refused, str(place / "link"))
    assert reason == "symlink"
    assert "symbolic link" in message
    assert snapshot(place / "arena") == before
