"""Named arenas: names, places that are ours alone, creation that is all or nothing, the door."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

from scamem.backing import naming, places
from scamem.backing.files import SharedFile
from scamem.errors import (
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRefusedError,
    LockTimeoutError,
)
from tests.backing.children import Talk, child, in_child

PAGE = 4096


def make(name: str) -> SharedFile:
    with places.creating(name) as arena:
        control = arena.create("control", PAGE)
        arena.create("frames", PAGE)
    return control


class TestNames:
    @pytest.mark.parametrize("name", ["a", "A-z_0.9", "x" * 100, "-", "_", "0"])
    def test_good(self, place: Path, name: str) -> None:
        assert naming.locate(name) == str(place / name)

    @pytest.mark.parametrize("name", ["", ".", "..", ".a", "x" * 101, "a b", "ä", "a\n", "a\0"])
    def test_bad(self, place: Path, name: str) -> None:
        with pytest.raises(ValueError, match="a name has 1 to 100"):
            naming.locate(name)

    def test_path_on_tmpfs(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert naming.locate(f"{place}/x/../mine") == str(place / "mine")
        monkeypatch.chdir(place)
        assert naming.locate("./mine") == str(place / "mine")

    def test_path_elsewhere_warns(self) -> None:
        with pytest.warns(RuntimeWarning, match="/proc is not on tmpfs"):
            assert naming.locate("/proc/mine") == "/proc/mine"


class TestPlace:
    def test_given(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A chosen one is made with its first arena, and stays."""
        monkeypatch.setenv("SCAMEM_DIR", str(place / "new"))
        assert naming.place() == str(place / "new")
        assert places.list_arenas() == []
        assert not (place / "new").exists()
        make("mine")
        assert os.stat(place / "new").st_mode & 0o777 == 0o700
        places.remove("mine")
        assert (place / "new").exists()

    def test_runtime_directory_then_shared_memory(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SCAMEM_DIR")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
        assert naming.place() == str(place / "scamem")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place / "missing"))
        assert naming.place() == f"/dev/shm/scamem-{os.geteuid()}"

    def test_it_goes_with_its_last_arena(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SCAMEM_DIR")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
        with pytest.raises(ArenaNotFoundError):
            places.directory_of("one")
        assert os.listdir(place) == []
        make("one")
        assert os.stat(place / "scamem").st_mode & 0o777 == 0o700
        make("two")
        places.remove("one")
        assert places.list_arenas() == ["two"]
        places.remove(str(place / "scamem" / "two"))
        assert os.listdir(place) == []
        with pytest.raises(ZeroDivisionError), places.creating("three"):
            raise ZeroDivisionError
        assert os.listdir(place) == []

    @pytest.mark.parametrize("another", [False, True])
    def test_removed_while_one_is_made(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, another: bool
    ) -> None:
        """Once opened, it may go before anything is made in it: made anew, if that is ours."""
        monkeypatch.delenv("SCAMEM_DIR")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
        looks: list[int] = []

        def token(length: int) -> bytes:  # asked for between the two
            if not looks:
                (place / "scamem").rmdir()
                if another:
                    (place / "scamem").mkdir(0o755)
            looks.append(length)
            return len(looks).to_bytes(length, "big")

        monkeypatch.setattr("os.urandom", token)
        if another:
            with pytest.raises(ArenaRefusedError):
                make("mine")
            assert os.listdir(place / "scamem") == []
        else:
            make("mine")
            assert len(looks) == 2
            assert places.list_arenas() == ["mine"]

    def test_makers_and_removers_at_once(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SCAMEM_DIR")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))

        def race(talk: Talk, name: str) -> None:
            talk.hear()
            for _ in range(300):
                make(name).close()
                places.remove(name)
            talk.say("done")

        with child(lambda talk: race(talk, "a")) as one, child(lambda talk: race(talk, "b")) as two:
            one.say()
            two.say()
            assert (one.hear(), two.hear()) == ("done", "done")
        assert os.listdir(place) == []

    @pytest.mark.parametrize("reason", ["symlink", "type", "mode", "owner"])
    def test_refused(self, place: Path, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
        path = place / "mine"
        monkeypatch.setenv("SCAMEM_DIR", str(path))
        if reason == "symlink":
            (place / "other").mkdir(mode=0o700)
            path.symlink_to("other")
        elif reason == "type":
            path.touch()
        else:
            path.mkdir(mode=0o700)
            if reason == "mode":
                path.chmod(0o750)
            elif os.geteuid() == 0:
                os.chown(path, 1234, 1234)
            else:
                pytest.skip("needs root")
        with pytest.raises(ArenaRefusedError) as caught:
            naming.place()
        assert caught.value.reason == reason


class TestCreating:
    def test_appears_at_once_with_final_paths(self, place: Path) -> None:
        with places.creating("mine") as arena:
            control = arena.create("control", PAGE)
            assert not (place / "mine").exists()
            assert places.list_arenas() == []
        assert control.path == str(place / "mine" / "control")
        assert places.list_arenas() == ["mine"]
        assert places.open_file("mine", "control").inode == control.inode
        assert os.stat(place / "mine").st_mode & 0o777 == 0o700

    def test_taken(self, place: Path) -> None:
        make("mine")
        with pytest.raises(ArenaExistsError, match="mine"), places.creating("mine"):
            pytest.fail("inside")
        assert sorted(path.name for path in place.iterdir()) == ["mine"]

    def test_loser_of_a_race_leaves_nothing(self, place: Path) -> None:
        with pytest.raises(ArenaExistsError), places.creating("mine") as arena:
            arena.create("control", PAGE)
            winner = make("mine")
        assert places.open_file("mine", "control").inode == winner.inode
        assert sorted(path.name for path in place.iterdir()) == ["mine"]

    def test_many_makers_one_wins(self, place: Path) -> None:
        def race(talk: Talk) -> None:
            talk.say("ready")
            talk.hear()
            try:
                talk.say(make("mine").inode)
            except ArenaExistsError:
                talk.say(None)

        with contextlib.ExitStack() as stack:
            makers = [stack.enter_context(child(race)) for _ in range(8)]
            for maker in makers:
                assert maker.hear() == "ready"
            for maker in makers:
                maker.say("go")
            won = [inode for maker in makers if (inode := maker.hear()) is not None]
        assert won == [places.open_file("mine", "control").inode]
        assert sorted(path.name for path in place.iterdir()) == ["mine"]

    def test_failure_leaves_nothing(self, place: Path) -> None:
        with pytest.raises(KeyError), places.creating("mine") as arena:
            arena.create("control", PAGE)
            raise KeyError
        assert list(place.iterdir()) == []

    def test_killed_makers_leavings_are_swept_and_living_ones_are_not(self, place: Path) -> None:
        def begin(talk: Talk) -> None:
            with places.creating("mine") as arena:
                arena.create("control", PAGE)
                talk.say("inside")
                talk.hear()

        with child(begin) as dead, child(begin) as living:
            assert dead.hear() == living.hear() == "inside"
            dead.kill()
            assert len(list(place.iterdir())) == 2
            make("other")
            assert len(list(place.iterdir())) == 2  # the living one's, and `other`
            living.say("go on")
            assert os.waitstatus_to_exitcode(living.wait()) == 0
        assert places.list_arenas() == ["mine", "other"]

    def test_missing_parent(self, place: Path) -> None:
        with pytest.raises(ArenaNotFoundError), places.creating(f"{place}/no/mine"):
            pytest.fail("inside")

    def test_only_an_arenas_files(self, place: Path) -> None:
        with pytest.raises(ValueError, match="notes"), places.creating("mine") as arena:
            arena.create("notes", PAGE)
        assert list(place.iterdir()) == []


class TestFinding:
    def test_missing(self, place: Path) -> None:
        make("other")
        with pytest.raises(ArenaNotFoundError, match=r"1 other arena$"):
            places.open_file("mine", "control")

    @pytest.mark.parametrize("reason", ["symlink", "type", "mode"])
    def test_refused(self, place: Path, reason: str) -> None:
        make("other")
        if reason == "symlink":
            (place / "mine").symlink_to("other")
        elif reason == "type":
            (place / "mine").touch()
        else:
            make("mine")
            (place / "mine").chmod(0o755)
        with pytest.raises(ArenaRefusedError) as caught:
            places.directory_of("mine")
        assert caught.value.reason == reason

    def test_removed_name_and_living_members(self, place: Path) -> None:
        control = make("mine")
        address = control.map(0, PAGE)
        places.remove("mine")
        assert list(place.iterdir()) == []
        assert make("mine").inode != control.inode
        assert control.allocated_bytes() == 0  # the old one's descriptor still serves
        control.unmap(address, PAGE)
        places.remove("mine")
        with pytest.raises(ArenaNotFoundError):
            places.remove("mine")

    def test_strangers_files_are_not_removed(self, place: Path) -> None:
        make("mine")
        (place / "mine" / "thesis.tex").touch()
        with pytest.raises(ArenaRefusedError, match="thesis"):
            places.remove("mine")
        assert len(list((place / "mine").iterdir())) == 3

    def test_boot_id(self) -> None:
        assert 0 < places.boot_id() < 1 << 128
        assert places.boot_id() == in_child(places.boot_id)


class TestDoor:
    def test_one_at_a_time(self, place: Path) -> None:
        control = make("mine")

        def inside(talk: Talk) -> None:
            with places.door(control, 10):
                talk.say("inside")
                talk.hear()
            talk.say("outside")
            talk.hear()

        with child(inside) as other:
            assert other.hear() == "inside"
            with pytest.raises(LockTimeoutError, match="exclusive use"), places.door(control, 0):
                pytest.fail("two inside")
            other.say("leave")
            assert other.hear() == "outside"
            with places.door(control, 0):
                pass

    def test_waits_until_it_opens(self, place: Path) -> None:
        control = make("mine")
        entered = threading.Event()

        def enter() -> None:
            with places.door(control, 60):
                entered.set()

        with places.door(control, 0):
            waiting = threading.Thread(target=enter)
            waiting.start()
            assert not entered.is_set()
        waiting.join()
        assert entered.is_set()

    def test_death_opens_it(self, place: Path) -> None:
        control = make("mine")

        def stay(talk: Talk) -> None:
            with places.door(control, 10):
                talk.say("inside")
                talk.hear()

        with child(stay) as other:
            assert other.hear() == "inside"
            os.kill(other.pid, signal.SIGKILL)
            other.wait()
            with places.door(control, 0):
                pass

    def test_failure_inside_opens_it(self, place: Path) -> None:
        control = make("mine")
        with pytest.raises(KeyError), places.door(control, 0):
            raise KeyError
        with places.door(control, 0):
            pass

    def test_is_no_slots_lock(self, place: Path) -> None:
        from scamem.backing import slot_locks

        control = make("mine")
        with places.door(control, 0):
            fd = control.descriptor()
            assert slot_locks.probe(fd, control.device, control.inode, 0) == 0
