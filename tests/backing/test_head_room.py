"""Head room: every limit is found, the tightest is named, and nobody is killed at a cgroup's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scamem.backing import head_room
from scamem.backing.files import SharedFile
from scamem.errors import OutOfMemoryError
from tests.backing.children import Talk, child, run_script

MIB = 1 << 20
GIB = 1 << 30
MACHINE = 64 * GIB

Tree = Callable[..., Path]


@pytest.fixture
def proc(tmp_path: Path) -> Tree:
    """A function that writes a /proc as the kernel would, with cgroup mounts below `tmp_path`."""

    def write(cgroup: str, mounts: str, available: int = MACHINE // 2) -> Path:
        (tmp_path / "proc" / "self").mkdir(parents=True)
        (tmp_path / "proc" / "self" / "cgroup").write_text(cgroup)
        text = mounts.replace("@", str(tmp_path))
        (tmp_path / "proc" / "self" / "mountinfo").write_text(text)
        memory = f"MemTotal: {MACHINE >> 10} kB\nMemAvailable: {available >> 10} kB\n"
        (tmp_path / "proc" / "meminfo").write_text(memory)
        return tmp_path / "proc"

    return write


def group(path: Path, limit: int | str, used: int, *, version: int = 2, **stat: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    (path / names[0]).write_text(f"{limit}\n")
    (path / names[1]).write_text(f"{used}\n")
    (path / "memory.stat").write_text("".join(f"{key} {value}\n" for key, value in stat.items()))


VERSION2 = "30 23 0:26 / @/cg rw,nosuid - cgroup2 cgroup2 rw\n"
VERSION1 = "31 23 0:27 {root} @/cg/memory rw - cgroup cgroup rw,memory\n"


def tightest(proc: Path) -> tuple[str, int]:
    room = head_room.rooms(proc=proc)[0]
    return room.name, room.free_bytes


def test_machine_alone(proc: Tree) -> None:
    where = proc("0::/\n", VERSION2, available=8 * GIB)
    assert tightest(where) == ("MemAvailable of the machine", 8 * GIB - 512 * MIB)


def test_every_ancestor_counts_and_the_tightest_is_named(proc: Tree, tmp_path: Path) -> None:
    where = proc("0::/a/b/c\n", VERSION2)
    group(tmp_path / "cg/a", 1 * GIB, 600 * MIB)
    group(tmp_path / "cg/a/b", "max", 600 * MIB)
    group(tmp_path / "cg/a/b/c", 2 * GIB, 500 * MIB)
    assert tightest(where) == (f"cgroup memory.max of {tmp_path}/cg/a", (1024 - 600 - 16) * MIB)
    with pytest.raises(OutOfMemoryError, match=r"memory\.max of .*/cg/a") as caught:
        head_room.require(409 * MIB, proc=where)
    assert caught.value.asked_bytes == 409 * MIB
    assert caught.value.free_bytes == 408 * MIB
    assert "cg/a" in caught.value.limit
    head_room.require(408 * MIB, proc=where)


def test_clean_page_cache_is_room_and_dirty_is_not(proc: Tree, tmp_path: Path) -> None:
    where = proc("0::/a\n", VERSION2)
    cache = {"inactive_file": 300 * MIB, "active_file": 200 * MIB, "file": 900 * MIB}
    group(tmp_path / "cg/a", GIB, 1000 * MIB, **cache, shmem=400 * MIB, file_dirty=100 * MIB)
    assert tightest(where)[1] == (1024 - 1000 + 400 - 16) * MIB


def test_usage_over_the_limit_is_no_room(proc: Tree, tmp_path: Path) -> None:
    where = proc("0::/a\n", VERSION2)
    group(tmp_path / "cg/a", GIB, GIB)
    assert tightest(where)[1] == 0
    head_room.require(0, proc=where)


def test_version_1_counts_the_subtree(proc: Tree, tmp_path: Path) -> None:
    where = proc("4:memory:/box\n0::/\n", VERSION1.format(root="/"))
    group(tmp_path / "cg/memory", 9223372036854771712, 900 * MIB, version=1)
    group(
        tmp_path / "cg/memory/box",
        GIB,
        900 * MIB,
        version=1,
        inactive_file=1 * MIB,
        total_inactive_file=100 * MIB,
        total_dirty=10 * MIB,
    )
    name, free = tightest(where)
    assert name == f"cgroup memory.limit_in_bytes of {tmp_path}/cg/memory/box"
    assert free == (1024 - 900 + 90 - 16) * MIB


def test_container_that_sees_only_its_own_group(proc: Tree, tmp_path: Path) -> None:
    where = proc("4:memory:/docker/1234\n", VERSION1.format(root="/docker/1234"))
    group(tmp_path / "cg/memory", GIB, 0, version=1)
    assert tightest(where)[0].endswith("/cg/memory")


def test_root_that_only_begins_alike_is_another_group(proc: Tree, tmp_path: Path) -> None:
    where = proc("4:memory:/docker/12345\n", VERSION1.format(root="/docker/1234"))
    group(tmp_path / "cg/memory", GIB, 0, version=1)
    assert tightest(where)[0].endswith("/cg/memory")


def test_group_outside_the_namespace(proc: Tree, tmp_path: Path) -> None:
    where = proc("0::/../other\n", VERSION2)
    group(tmp_path / "cg", GIB, 0)
    assert tightest(where)[0].endswith("/cg")


def test_other_controllers_and_files_are_not_asked(proc: Tree, tmp_path: Path) -> None:
    mounts = "31 23 0:27 / @/cg/cpu rw - cgroup cgroup rw,cpu\n1 1 0:1 / / rw - ext4 /dev/vda rw\n"
    where = proc("3:cpu:/a\n1:name=systemd:/a\n", mounts)
    group(tmp_path / "cg/cpu/a", GIB, 0, version=1)
    assert tightest(where)[0] == "MemAvailable of the machine"


def test_values_are_read_anew_and_a_removed_group_is_no_limit(proc: Tree, tmp_path: Path) -> None:
    where = proc("0::/a\n", VERSION2)
    group(tmp_path / "cg/a", GIB, 0)
    assert tightest(where)[1] == 1008 * MIB
    group(tmp_path / "cg/a", GIB, 8 * MIB)
    assert tightest(where)[1] == 1000 * MIB
    (tmp_path / "cg/a/memory.max").unlink()
    assert tightest(where)[0] == "MemAvailable of the machine"


def test_process_that_is_moved_is_followed(proc: Tree, tmp_path: Path) -> None:
    where = proc("0::/a\n", VERSION2)
    group(tmp_path / "cg/a", GIB, 0)
    group(tmp_path / "cg/b", 2 * GIB, 0)
    assert tightest(where)[0].endswith("/cg/a")
    (where / "self" / "cgroup").write_text("0::/b\n")
    assert tightest(where)[0].endswith("/cg/b")


def test_named_file_is_bound_by_its_file_system_and_a_memfd_is_not(place: Path) -> None:
    named = SharedFile.create(place / "frames", MIB)
    names = [room.name for room in head_room.rooms(named)]
    assert f"file system of {place}/frames" in names
    memfd = SharedFile.memfd("scamem-test", MIB)
    assert not [room for room in head_room.rooms(memfd) if "file system" in room.name]


def test_default_capacity_is_the_tightest_limit_in_whole_gib(proc: Tree, tmp_path: Path) -> None:
    where = proc("0::/a\n", VERSION2)
    assert head_room.default_capacity_bytes(where) == MACHINE
    (where / "self" / "cgroup").write_text("0::/b\n")
    group(tmp_path / "cg/b", 1536 * MIB, 0)
    assert head_room.default_capacity_bytes(where) == 2 * GIB


def test_default_capacity_leaves_address_space() -> None:
    printed = run_script(
        """
        import resource
        from scamem.backing import head_room
        whole = head_room.default_capacity_bytes()
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        print(whole % (1 << 30), (512 << 20) < head_room.default_capacity_bytes() < (1 << 30))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        print(head_room.default_capacity_bytes())
        """
    )
    assert printed == f"0 True\n{MIB}\n"


@contextlib.contextmanager
def own_cgroup(limit_bytes: int) -> Iterator[Path]:
    """A group below this process's own, that a test may put a child into."""
    found = [one for one in head_room.cgroups() if os.access(one.directory, os.W_OK)]
    if not found:
        pytest.skip("no memory cgroup that this process may make groups in")
    path = Path(found[0].directory) / f"scamem-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"may not make a cgroup: {error}")
    try:
        try:
            (path / found[0].limit).write_text(str(limit_bytes))
        except OSError as error:
            pytest.skip(f"may not limit a cgroup's memory here: {error}")
        yield path
    finally:
        path.rmdir()


def test_real_cgroup_refuses_and_nobody_is_killed() -> None:
    file = SharedFile.memfd("scamem-test", 256 * MIB)
    with own_cgroup(96 * MIB) as path:

        def fill(talk: Talk) -> None:
            (path / "cgroup.procs").write_text(str(os.getpid()))
            steps: list[int] = []
            try:
                file.allocate(0, file.size, progress=steps.append)
            except OutOfMemoryError as error:
                talk.say((error.limit, error.free_bytes, steps[-1]))

        with child(fill) as started:
            limit, free_bytes, done = started.hear()
            assert started.wait() == 0
        assert str(path) in limit
        assert free_bytes < 16 * MIB
        assert 32 * MIB <= done <= 96 * MIB
        assert file.allocated_bytes() == done
        file.punch(0, file.size)
