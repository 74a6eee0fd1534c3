"""Named arenas: created, joined and opened by a word, a path, a Path; and the same ones removed."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import scamem
from scamem import (
    Arena,
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRefusedError,
    ArenaRemovedError,
)
from scamem.backing import places
from tests.backing.children import Talk, child, in_child
from tests.limits import places as limits

CAPACITY = "16M"


@pytest.fixture
def empty(place: Path) -> Path:
    """An empty directory that an arena may be made in."""
    found = place / "empty"
    found.mkdir(mode=0o700)
    return found


@pytest.fixture
def runtime(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runtime directory of a login session, where nobody chose a place."""
    monkeypatch.delenv("SCAMEM_DIR")
    found = place / "run"
    found.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(found))
    yield found
    other = Path(f"/dev/shm/scamem-{os.geteuid()}")
    shutil.rmtree(other / f"shared-{os.getpid()}", ignore_errors=True)
    with contextlib.suppress(OSError):  # not there, or others' arenas are
        other.rmdir()


class TestWhatIsThere:
    """One answer at once for whatever stands under the name: join, create and open agree."""

    @pytest.mark.parametrize("make", [Arena.create, Arena.open])
    def test_an_empty_directory_becomes_the_arena(
        self, empty: Path, make: Callable[..., Arena]
    ) -> None:
        with pytest.raises(ArenaNotFoundError, match="is an empty directory"):
            Arena.join(empty)
        with make(empty, capacity=CAPACITY) as arena:
            assert arena.path == str(empty)
            arena["x"] = np.arange(3)
        assert stat.S_IMODE(empty.stat().st_mode) == 0o700
        with Arena.open(empty) as again:
            assert again["x"].tolist() == [0, 1, 2]
        assert os.listdir(empty.parent) == ["empty"]

    @pytest.mark.parametrize("left", ["control", "frames"])
    def test_half_an_arena_is_refused(self, place: Path, left: str) -> None:
        Arena.create("half", capacity=CAPACITY).close()
        for name in {"control", "frames"} - {left}:
            (place / "half" / name).unlink()
        for make in (Arena.join, Arena.create, Arena.open):
            with pytest.raises(ArenaRefusedError, match="scamem rm --whole") as caught:
                make("half")
            assert caught.value.reason == "incomplete"
        places.remove("half")
        Arena.open("half", capacity=CAPACITY).close()

    def test_a_directory_of_other_things_is_left_alone(self, empty: Path) -> None:
        (empty / "thesis.tex").touch()
        for make in (Arena.join, Arena.create, Arena.open):
            with pytest.raises(ArenaRefusedError, match=r"thesis\.tex"):
                make(empty)
        assert os.listdir(empty) == ["thesis.tex"]

    @pytest.mark.parametrize("reason", ["mode", "owner", "type", "symlink"])
    def test_not_ours(self, empty: Path, reason: str) -> None:
        if reason == "owner":
            limits.need_root("directories of other users")
            os.chown(empty, 1234, 1234)
        elif reason == "mode":
            empty.chmod(0o755)
        else:
            empty.rmdir()
            empty.touch() if reason == "type" else empty.symlink_to("other")
        for make in (Arena.join, Arena.create, Arena.open):
            with pytest.raises(ArenaRefusedError) as caught:
                make(empty)
            assert caught.value.reason == reason

    def test_a_mount_point_is_refused_and_below_it_is_room(self, empty: Path) -> None:
        limits.need_root("mounts")

        def in_container() -> tuple[str, str, str]:
            limits.leave_mounts()
            limits.mount_tmpfs(str(empty), "mode=700")
            with pytest.raises(ArenaRefusedError, match=f"{empty}/arena") as caught:
                Arena.open(empty, capacity=CAPACITY)
            with pytest.raises(ArenaNotFoundError) as joined:
                Arena.join(empty)
            with Arena.open(empty / "arena", capacity=CAPACITY) as arena:
                return caught.value.reason, type(joined.value).__name__, arena.path

        assert in_child(in_container) == ("mount", "ArenaNotFoundError", f"{empty}/arena")

    def test_a_parent_that_cannot_be_written(self, place: Path) -> None:
        limits.need_root("other users' directories")
        (place / "theirs").mkdir(mode=0o755)

        def as_another() -> str:
            place.chmod(0o755)
            os.setuid(1234)
            with pytest.raises(ArenaRefusedError, match="cannot write to") as caught:
                Arena.open(place / "theirs" / "mine")
            return caught.value.path

        assert in_child(as_another) == f"{place}/theirs"

    def test_many_makers_in_one_empty_directory(self, empty: Path) -> None:
        def make(talk: Talk) -> None:
            talk.hear()
            with Arena.open(empty, capacity=CAPACITY) as arena:
                talk.say(arena.arena_id)
                talk.hear()

        with child(make) as a, child(make) as b, child(make) as c, child(make) as d:
            makers = (a, b, c, d)
            for maker in makers:
                maker.say("go")
            assert len({maker.hear() for maker in makers}) == 1
            for maker in makers:
                maker.say("end")
        assert os.listdir(empty.parent) == ["empty"]

    @pytest.mark.parametrize("file", [0, 1, 2])
    def test_a_maker_killed_anywhere_leaves_the_directory_empty(
        self, empty: Path, file: int
    ) -> None:
        def make(talk: Talk) -> None:
            with places.creating(str(empty)) as made:
                for name in ("control", "frames")[:file]:
                    made.create(name, 4096)
                talk.say("made")
                talk.hear()

        with child(make) as maker:
            assert maker.hear() == "made"
            os.kill(maker.pid, signal.SIGKILL)
            maker.wait()
        with pytest.raises(ArenaNotFoundError):
            Arena.join(empty)
        Arena.open(empty, capacity=CAPACITY).close()
        assert os.listdir(empty.parent) == ["empty"]

    def test_filled_by_somebody_while_it_is_made(self, empty: Path) -> None:
        with pytest.raises(ArenaRefusedError, match="notes"), places.creating(str(empty)) as made:
            made.create("control", 4096)
            (empty / "notes").touch()
        assert os.listdir(empty) == ["notes"]
        assert os.listdir(empty.parent) == ["empty"]

    def test_the_two_files_are_of_one_arena(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Removed and made anew between the opening of the one and of the other."""
        Arena.create("one", capacity=CAPACITY).close()
        opened = places.open_file

        def meanwhile(name: str, file_name: str) -> object:
            if file_name == "frames":
                monkeypatch.setattr(places, "open_file", opened)
                places.remove("one")
                in_child(lambda: Arena.create("one", capacity="32M").close())
            return opened(name, file_name)

        monkeypatch.setattr(places, "open_file", meanwhile)
        with Arena.join("one") as arena:
            assert arena.capacity == 32 << 20
            assert places.is_still_there(places.open_file("one", "control"))


class TestRemoved:
    """A living arena whose files are deleted: whoever is in it is told, and loses nothing."""

    def removed(self, name: str = "gone") -> Arena:
        arena = Arena.create(name, capacity=CAPACITY)
        arena["kept"] = np.arange(4)
        shutil.rmtree(arena.path)
        return arena

    @pytest.mark.usefixtures("place")
    def test_a_publisher_is_told(self) -> None:
        with self.removed() as arena:
            for publish in (arena.publish, arena.__setitem__):
                with pytest.raises(ArenaRemovedError, match=r"Arena\.open"):
                    publish("x", np.ones(3))
            assert list(arena) == ["kept"]

    @pytest.mark.usefixtures("place")
    @pytest.mark.parametrize("timeout", [None, 1, math.inf])
    def test_whoever_looks_for_a_name_is_told(self, timeout: float | None) -> None:
        with self.removed() as arena, pytest.raises(ArenaRemovedError):
            arena.get("x", timeout=timeout)

    def test_whoever_waits_already_is_told(self, place: Path) -> None:
        arena = Arena.create("gone", capacity=CAPACITY)
        told = threading.Event()

        def wait() -> None:
            with pytest.raises(ArenaRemovedError):
                arena.get("x", timeout=math.inf)
            told.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        shutil.rmtree(place / "gone")
        waiting.join()
        assert told.is_set()
        arena.close()

    @pytest.mark.usefixtures("place")
    def test_what_is_held_stays_usable(self) -> None:
        with self.removed() as arena:
            kept, more = arena["kept"], arena.zeros(100_000)
            more += 1
            assert kept.tolist() == [0, 1, 2, 3]
            assert more.sum() == 100_000
            assert in_child(lambda: float(more.sum())) == 100_000
            assert arena.check() == []

    @pytest.mark.usefixtures("place")
    def test_the_name_opened_again_is_the_new_one(self) -> None:
        with self.removed() as old:
            with pytest.raises(ArenaNotFoundError):
                Arena.join("gone")
            with Arena.open("gone", capacity=CAPACITY) as new:
                assert new is not old
                assert Arena.join("gone") is new
                new["x"] = np.ones(2)
                with pytest.raises(ArenaRemovedError):
                    old["x"] = np.ones(2)
                assert in_child(lambda: list(Arena.join("gone"))) == ["x"]

    def test_replaced_by_another_processs(self, place: Path) -> None:
        arena = Arena.create("one", capacity=CAPACITY)
        places.remove("one")
        in_child(lambda: Arena.create("one", capacity=CAPACITY).close())
        with pytest.raises(ArenaRemovedError, match=f"{place}/one"):
            arena.publish("x", np.ones(1))
        arena.close()

    def test_a_child_is_told_as_its_parent_is(self, place: Path) -> None:
        def publish(name: str) -> str:
            try:
                arena.publish(name, np.ones(1))
            except ArenaRemovedError:
                return "told"
            return "published"

        with Arena.create("one", capacity=CAPACITY) as arena:
            assert in_child(lambda: publish("x")) == "published"
            shutil.rmtree(place / "one")
            assert in_child(lambda: publish("y")) == "told"

    def test_out_of_sight_is_not_removed(self, place: Path) -> None:
        """A process in another mount namespace publishes for those that it left behind."""
        limits.need_root("mounts")

        def publish() -> None:
            limits.leave_mounts()
            limits.mount_tmpfs(str(place))
            arena["from below"] = np.ones(1)

        with Arena.create("one", capacity=CAPACITY) as arena:
            in_child(publish)
            assert "from below" in arena
            assert (place / "one").exists()

    def test_an_anonymous_arena_has_no_place(self) -> None:
        with Arena.create(capacity=CAPACITY) as arena:
            arena["x"] = np.ones(1)
            assert "x" in arena


class TestTwoPlaces:
    """A login session and a cron job of one user; root in a user's session."""

    def test_join_says_where_the_other_one_is(
        self, runtime: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = f"shared-{os.getpid()}"
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        Arena.create(name, capacity=CAPACITY).close()
        there = f"/dev/shm/scamem-{os.geteuid()}/{name}"
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        with pytest.raises(ArenaNotFoundError, match=f"one at {there}.*XDG_RUNTIME_DIR is set"):
            Arena.join(name)
        for make in (Arena.create, Arena.open):
            with pytest.raises(ArenaRefusedError, match=there) as caught:
                make(name, capacity=CAPACITY)
            assert caught.value.reason == "place"
        assert os.listdir(runtime) == []
        Arena.join(there).close()
        Arena.create("another", capacity=CAPACITY).close()  # other names are free

    def test_a_chosen_place_is_alone(self, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Arena.create("mine", capacity=CAPACITY).close()
        monkeypatch.setenv("SCAMEM_DIR", str(runtime / "chosen"))
        with pytest.raises(ArenaNotFoundError, match="SCAMEM_DIR is set"):
            Arena.join("mine")
        Arena.create("mine", capacity=CAPACITY).close()

    def test_one_directory_by_two_paths_is_one_place(
        self, runtime: Path, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (place / "link").symlink_to(runtime)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place / "link"))
        Arena.create("mine", capacity=CAPACITY).close()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        Arena.open("mine").close()

    def test_root_in_a_users_session_leaves_nothing_there(self, runtime: Path) -> None:
        limits.need_root("other users' directories")
        os.chown(runtime, 1234, 1234)
        for make in (Arena.join, Arena.create, Arena.open):
            with pytest.raises(ArenaRefusedError, match="belongs to user 1234") as caught:
                make("mine")
            assert caught.value.reason == "owner"
        assert os.listdir(runtime) == []
        runtime.chmod(0o1777)
        os.chown(runtime, 0, 0)  # as /tmp is
        Arena.open("mine", capacity=CAPACITY).close()


class TestArguments:
    def test_paths(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(place)
        with Arena.create(Path("here"), capacity=CAPACITY) as arena:
            assert arena.path == f"{place}/here"
            assert Arena.join("./here") is Arena.open(place / "here") is arena

    @pytest.mark.parametrize("name", [5, b"x", ("a",)])
    def test_no_names(self, name: object) -> None:
        for make in (Arena.create, Arena.join, Arena.open):
            with pytest.raises(TypeError, match="a name is a str, or a path"):
                make(name)  # type: ignore[arg-type]  # what is refused

    def test_sizes(self) -> None:
        with Arena.create(capacity="1.5 GiB", huge="0") as arena:
            assert arena.capacity == 3 << 29
            assert arena.alloc("1M").nbytes == 1 << 20
            assert arena.ring("64k").capacity == 64 << 10
            arena.retention = "8M"
            assert arena.retention == 8 << 20
            assert arena.trim("8 MB") == 0
            assert arena.growable(3, reserve="1M").scamem.nbytes

    @pytest.mark.parametrize("size", ["64 x", "", "-1", "M"])
    def test_no_sizes(self, size: str) -> None:
        with pytest.raises(ValueError, match="is not a size"):
            Arena.create(capacity=size)

    def test_no_whole_number(self) -> None:
        with pytest.raises(TypeError, match="'64M'"):
            Arena.create(capacity=1e9)  # type: ignore[arg-type]  # what is refused

    def test_calling_the_class_says_what_to_call(self) -> None:
        for arguments in ((), ("sensors",), ("sensors", 5)):
            with pytest.raises(TypeError, match=r"Arena\.open\(name\)"):
                Arena(*arguments)
        with pytest.raises(TypeError, match=r"Arena\.create"):
            Arena("sensors", capacity=5)

    def test_errors_are_what_callers_catch(self) -> None:
        assert issubclass(ArenaRemovedError, ArenaNotFoundError)
        assert issubclass(ArenaNotFoundError, FileNotFoundError)
        assert issubclass(ArenaExistsError, FileExistsError)
        assert scamem.ArenaRemovedError is ArenaRemovedError
