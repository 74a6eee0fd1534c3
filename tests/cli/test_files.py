"""Files into an arena and out of it: what comes out is what went in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import Run

TABLE = 'name,n,x,note\n"a, b",1,1.5,\nc,2,,hi\nd,3,2000.0,"q""z"\n'

ARRAYS: dict[str, Any] = {
    "floats": np.linspace(0, 1, 1000),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "large": np.arange(5_000_000, dtype=np.int32).reshape(-1, 5),
    "single": np.array(3 + 4j),
    "nothing": np.empty((0, 3), np.int8),
    "structured": np.array([(1, b"one"), (2, b"two")], [("n", "<i4"), ("s", "S5")]),
    "big_endian": np.arange(5, dtype=">i8"),
    "text": np.array(["a", "bcd", "ü"]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_npy(scamem: Run, tmp_path: Path, name: str) -> None:
    array = ARRAYS[name]
    np.save(tmp_path / "in.npy", array)
    scamem("put", "in.npy", "x")
    scamem("get", "x", "out.npy")
    found = np.load(tmp_path / "out.npy")
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.flags.f_contiguous == array.flags.f_contiguous
    assert found.tobytes() == array.tobytes()


def test_npz_has_a_name_for_each_member(scamem: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", a=np.arange(5), b=np.ones((2, 3)))
    scamem("put", "in.npz", "x")
    scamem("get", "x", "out.npz")
    scamem("get", "x/b", "b.npy")
    with np.load(tmp_path / "out.npz") as found:
        assert sorted(found.files) == ["a", "b"]
        assert np.array_equal(found["a"], np.arange(5))
    assert np.load(tmp_path / "b.npy").shape == (2, 3)


def test_csv_is_one_structured_array(scamem: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(TABLE)
    scamem("put", "in.csv", "t")
    scamem("get", "t", "out.csv")
    assert (tmp_path / "out.csv").read_text() == TABLE
    scamem("get", "t", "out.npy")
    found = np.load(tmp_path / "out.npy")
    assert found["n"].dtype == np.int64
    assert found["x"].dtype == np.float64
    assert np.isnan(found["x"][1])
    assert found["name"].tolist() == ["a, b", "c", "d"]


def test_csv_by_columns(scamem: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(TABLE)
    scamem("put", "in.csv", "t", "--columns")
    scamem("get", "t/n", "n.npy")
    assert np.load(tmp_path / "n.npy").tolist() == [1, 2, 3]
    scamem("get", "t", "out.csv")
    assert (tmp_path / "out.csv").read_text() == TABLE


def test_bytes(scamem: Run, tmp_path: Path) -> None:
    data = np.random.default_rng(1).bytes(3_000_001)
    (tmp_path / "in.bin").write_bytes(data)
    scamem("put", "in.bin", "x")
    scamem("get", "x", "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == data


def test_pipes(scamem: Run) -> None:
    scamem("put", "-", "x", input=b"some bytes")
    assert scamem("get", "x", "-").stdout == b"some bytes"
    scamem("put", "-", "t", "--as", "csv", input=TABLE.encode())
    assert scamem("get", "t", "-", "--as", "csv").stdout.decode() == TABLE


def test_empty_file(scamem: Run, tmp_path: Path) -> None:
    (tmp_path / "in.bin").write_bytes(b"")
    scamem("put", "in.bin", "x")
    scamem("get", "x", "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == b""


def test_a_taken_name_stays_unless_replaced(scamem: Run) -> None:
    scamem("put", "-", "x", input=b"old")
    refused = scamem("put", "-", "x", input=b"new", code=1)
    assert b"--replace" in refused.stderr
    assert scamem("get", "x", "-").stdout == b"old"
    scamem("put", "-", "x", "--replace", input=b"new")
    assert scamem("get", "x", "-").stdout == b"new"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("broken.npy", b"this is no array"),
        ("broken.npz", b"PK, but no archive"),
        ("ragged.csv", b"a,b\n1,2\n3\n"),
        ("unnamed.csv", b"a,a\n1,2\n"),
        ("none.csv", b""),
        ("binary.csv", b"a\n\xff\xfe\n"),
    ],
)
def test_unreadable_files(scamem: Run, tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    assert file.encode() in scamem("put", file, "x", code=1).stderr
    assert not list((tmp_path).glob("*.part"))


def test_objects_are_refused(scamem: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.array([{}, None]), allow_pickle=True)
    scamem("put", "in.npy", "x", code=1)


def test_a_failed_get_leaves_the_file_as_it_was(scamem: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", a=np.arange(5), b=np.ones((2, 3)))
    scamem("put", "in.npz", "x")
    (tmp_path / "out.npy").write_text("precious")
    scamem("get", "x", "out.npy", code=2)
    assert (tmp_path / "out.npy").read_text() == "precious"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("replace", [(), ("--replace",)])
def test_a_put_that_fails_half_way_leaves_no_new_name(
    scamem: Run, tmp_path: Path, replace: tuple[str, ...]
) -> None:
    wide = np.zeros(3, [(f"column_{k}", "f8") for k in range(99)])  # too much to describe
    np.savez(tmp_path / "in.npz", a=np.arange(5), b=wide)
    assert b"--columns" in scamem("put", "in.npz", "x", *replace, code=1).stderr
    assert b"does not exist" in scamem("ls", code=1).stderr
    if replace:
        scamem("put", "-", "x/a", input=b"old")
        scamem("put", "in.npz", "x", *replace, code=1)
        names = json.loads(scamem("ls", "--json").stdout)
        assert [found["names"] for found in names] == [["x/a"]]


def test_names_are_checked_before_anything_is_copied(scamem: Run, tmp_path: Path) -> None:
    members: dict[str, Any] = {"a": np.arange(5), "b" * 300: np.arange(5)}
    np.savez(tmp_path / "in.npz", **members)
    refused = scamem("put", "in.npz", "x", "--replace", code=1).stderr
    assert b"302 bytes" in refused
    assert b"nothing was put" in refused
    assert b"ValueError" not in refused
    assert b"does not exist" in scamem("ls", code=1).stderr


def test_capacity(scamem: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.zeros(20 << 20, np.uint8))
    refused = scamem("put", "in.npy", "x", "--capacity", "8M", code=1)
    assert b"capacity" in refused.stderr
    assert b"does not exist" in scamem("ls", code=1).stderr  # nothing is left behind
