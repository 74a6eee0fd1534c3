"""Tables by the command line: no value changes, in Arrow's formats and in CSV."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from scamem.cli import formats, tables

from .conftest import COMMAND, Run

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
from pyarrow import feather, parquet  # noqa: E402 - after the check

TABLE = pa.table(
    {
        "id": pa.array([9007199254740993, None, 3]),
        "text": ["a, b", None, 'q"z'],
        "x": [1.5, None, -0.0],
        "list": [[1], None, []],
        "word": pa.array(["u", "v", "u"]).dictionary_encode(),
    }
)
CODES = "zip,id,n,x,u\n01234,9007199254740993,1,0.5,18446744073709551615\n00501,,2,,3\n"
EXACT = ("zip", "<U5"), ("id", "<U16"), ("n", "<i8"), ("x", "<f8"), ("u", "<u8")


def test_an_arrow_table_in_each_format(scamem: Run, tmp_path: Path) -> None:
    parquet.write_table(TABLE, tmp_path / "in.parquet")
    put = scamem("put", "in.parquet", "t").stdout
    assert put.startswith(b"t: 3 rows, 5 columns, an Arrow table")
    for kind, load in (
        ("parquet", parquet.read_table),
        ("arrow", feather.read_table),
        ("feather", feather.read_table),
    ):
        scamem("get", "t", f"out.{kind}")
        assert load(tmp_path / f"out.{kind}").to_pydict() == TABLE.to_pydict()
    assert b"CSV" in scamem("get", "t", "out.csv", code=1).stderr
    scamem("put", "out.feather", "t", "--replace")
    refused = scamem("put", "in.parquet", "c", "--columns", code=1).stderr
    assert b"'id'" in refused or b"'text'" in refused


def test_csv_as_an_arrow_table(scamem: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(CODES)
    scamem("put", "in.csv", "t", "--arrow")
    scamem("get", "t", "out.parquet")
    found = parquet.read_table(tmp_path / "out.parquet")
    assert found["id"].to_pylist() == [9007199254740993, None]
    assert found["u"].to_pylist() == [(1 << 64) - 1, 3]
    scamem("get", "t", "out.csv")
    assert (tmp_path / "out.csv").read_text() == CODES.replace("01234", '"01234"').replace(
        "00501", '"00501"'
    )


@pytest.mark.parametrize("reader", ["arrow", "python"])
def test_csv_columns_are_exact(
    tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_text(CODES)
    if reader == "python":
        monkeypatch.setattr(tables, "is_there", lambda: False)
    found = formats.read(str(tmp_path / "in.csv"), formats.CSV)
    columns = found if reader == "python" else tables.arrays_of(found)
    assert [(name, columns[name].dtype.str) for name, _ in EXACT] == [*EXACT]
    assert columns["zip"].tolist() == ["01234", "00501"]
    assert columns["id"].tolist() == ["9007199254740993", ""]
    assert np.isnan(columns["x"][1])


RULES: dict[str, tuple[list[str], str]] = {
    "ids, one missing": (["9007199254740992", ""], "f"),
    "beyond uint64": (["18446744073709551616", "1"], "U"),
    "both signs": (["18446744073709551615", "-1"], "U"),
    "least": (["-9223372036854775808", "1"], "i"),
    "digits": (["0.1234567890123456789", "1"], "U"),
    "words": (["Inf", "1"], "U"),
    "underscore": (["1_2", "1"], "U"),
    "floats": (["1e5", "-0", "0.1"], "f"),
    "spaces": ([" 1", "2"], "U"),
    "other digits": (["٣", "1"], "U"),
    "newline": (["1\n", "2"], "U"),
    "newline of a decimal": (["1.5\n", "2"], "U"),
}


@pytest.mark.parametrize("case", RULES)
def test_both_readers_have_one_rule(case: str) -> None:
    from scamem.integrations import exact

    texts, kind = RULES[case]
    plain = formats.typed_column(texts)
    table = pa.table({"x": exact.exact_column(pa.array(texts))})
    assert plain.dtype.kind == kind
    assert tables.arrays_of(table)["x"].dtype == plain.dtype
    np.testing.assert_array_equal(tables.arrays_of(table)["x"], plain)


def test_other_names_for_csv(scamem: Run, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n1\tx,y\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"a;b\n1;2\n"))
    scamem("put", "a.tsv", "a")
    scamem("put", "b.csv.gz", "b")
    assert scamem("get", "a", "-", "--as", "csv").stdout == b'a,b\n1,"x,y"\n'
    assert scamem("get", "b", "-", "--as", "csv").stdout == b"a,b\n1,2\n"
    refused = scamem("put", "-", "c", "--as", "csv", input=b'\xef\xbb\xbfa\n"x\n1\n', code=1)
    assert b"not closed" in refused.stderr
    assert b"UTF8" in scamem("put", "-", "c", "--as", "csv", input=b"a\n\xff\n", code=1).stderr


TEXTS = pa.table({"a": [1, 2], 'b "\r': ["x,y;\tz", "c\rd\r\n"], "n\nm": ['q"', "\n"]})


@pytest.mark.parametrize("options", [(), ("--columns",)])
def test_what_is_written_is_read(
    scamem: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """Each name of a CSV file says how it is written, and how it is read again."""
    parquet.write_table(TEXTS, tmp_path / "in.parquet")
    scamem("put", "in.parquet", "t", *options)
    for ending in ("csv", "tsv", "csv.gz", "TSV.GZ"):
        file = tmp_path / f"out.{ending}"
        scamem("get", "t", file.name)
        data = file.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
        assert (text != data.decode("latin-1")) == ending.lower().endswith("gz")
        between = "\t" if ending.lower().startswith("tsv") else ","
        head = f'a{between}"b ""\r"{between}"n\nm"\n'
        assert text.startswith(head)
        monkeypatch.undo()
        assert formats.read(str(file), formats.CSV).to_pydict() == TEXTS.to_pydict()
        monkeypatch.setattr(tables, "is_there", lambda: False)
        found = formats.read(str(file), formats.CSV)
        assert {name: found[name].tolist() for name in found.dtype.names} == TEXTS.to_pydict()
    scamem("get", "t", "again.TSV.GZ")
    assert (tmp_path / "again.TSV.GZ").read_bytes() == data


FILES: dict[str, tuple[str, bytes]] = {
    "tabs": ("a.tsv", b"a\tb;c;d\n1\tx,y\n"),
    "semicolons": ("a.csv", b"\n\na;b\n1;2,5\n\n3;4\n"),
    "bars": ("a.csv", b"\xef\xbb\xbfa|b\r\n1|2\r\n"),
    "compressed": ("a.csv.gz", gzip.compress(b"a;b\n1;2\n")),
    "compressed tabs": ("a.tsv.gz", gzip.compress(b"a\tb\n1\t2\n")),
    "capitals": ("A.CSV.GZ", gzip.compress(b"a,b\n1,2\n")),
    "newline in a name": ("a.csv", b'"a\nb",c\n1,2\n'),
    "returns in a name": ("a.csv", b'"a\r\nb",c\n1,2\n'),
    "form feed": ("a.csv", b"a\x0cb,c\x1cd\n1,2\n"),
    "line separator": ("a.csv", "a\u2028b,c\u2029d\x85\n1,2\n".encode()),
    "returns alone": ("a.csv", b"a,b\r1,2\r"),
}


@pytest.mark.parametrize("case", FILES)
def test_both_readers_read_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    name, data = FILES[case]
    (tmp_path / name).write_bytes(data)
    columns = tables.arrays_of(formats.read(str(tmp_path / name), formats.CSV))
    monkeypatch.setattr(tables, "is_there", lambda: False)
    plain = formats.read(str(tmp_path / name), formats.CSV)
    assert [*columns] == [*plain.dtype.names]
    assert len(columns) == 2
    for field, column in columns.items():
        assert column.dtype == plain[field].dtype
        np.testing.assert_array_equal(column, plain[field])


@pytest.mark.parametrize("reader", ["arrow", "python"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("open.csv", b'a\n"x\n1\n'),
        ("no.csv.gz", b"a,b\n1,2\n"),
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999)[:-20]),
        ("bad.csv.gz", gzip.compress(b"a,b\n")[:10] + bytes(40)),
        ("two.csv", b"a,a\n1,2\n"),
        ("empty.csv", b"\n"),
    ],
    ids=["open", "no gzip", "cut", "bad", "two", "empty"],
)
def test_both_readers_refuse_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    if reader == "python":
        monkeypatch.setattr(tables, "is_there", lambda: False)
    with pytest.raises(click.ClickException, match=name):
        formats.read(str(tmp_path / name), formats.CSV)


def test_bytes_that_are_no_table(scamem: Run, tmp_path: Path) -> None:
    for number, data in enumerate((b"no table", b"\xff" * 64, b"ARROW1" + bytes(64), b"J" * 99)):
        (tmp_path / "in.bin").write_bytes(data)
        scamem("put", "in.bin", str(number))
        written = scamem("get", str(number), "-", "--as", "csv").stdout
        assert written.split() == [b"value", *(str(byte).encode() for byte in data)]


def test_many_columns_and_their_order(scamem: Run, tmp_path: Path) -> None:
    names = ",".join(f"column_{k}" for k in range(60))
    (tmp_path / "wide.csv").write_text(f"{names}\n{','.join('1' * 60)}\n")
    assert b"--columns" in scamem("put", "wide.csv", "w", code=1).stderr
    assert b"does not exist" in scamem("ls", code=1).stderr  # a failed put leaves no arena
    scamem("put", "wide.csv", "w", "--columns")
    scamem("rm", "-r", "w")
    scamem("put", "wide.csv", "w", "--columns")
    assert scamem("get", "w", "-", "--as", "csv").stdout.decode().splitlines()[0] == names


def test_members_that_are_waited_for(
    scamem: Run, tmp_path: Path, environment: dict[str, str]
) -> None:
    scamem("put", "-", "x", input=b"makes the arena")
    command = [*COMMAND, "get", "model", "out.npz", "--wait", "60"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as waiting:
        np.savez(tmp_path / "in.npz", file_=np.arange(3), b=np.arange(4))
        scamem("put", "in.npz", "model")
        assert waiting.wait() == 0
    with np.load(tmp_path / "out.npz") as found:
        assert sorted(found.files) == ["b", "file_"]


def test_what_is_written(scamem: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    import scamem as library

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCAMEM_DIR", environment["SCAMEM_DIR"])
        with library.Arena.open("default", capacity="64M") as arena:
            arena["m/file"], arena["m/allow_pickle"] = np.arange(3), np.arange(4)
            arena["t"] = np.array(["2026-11-27T01:02:03.5", "NaT"], "M8[ms]")
            arena["long"] = np.array(["0.1"], np.longdouble)
            arena["none"] = np.zeros((3, 0))
    scamem("get", "m", "out.npz")
    with np.load(tmp_path / "out.npz") as found:
        assert sorted(found.files) == ["allow_pickle", "file"]
    assert scamem("get", "t", "-", "--as", "csv").stdout == b'value\n2026-11-27T01:02:03.500\n""\n'
    assert scamem("get", "long", "-", "--as", "csv").stdout == b"value\n0.1\n"
    assert b"columns" in scamem("get", "none", "-", "--as", "csv", code=2).stderr
    assert b"--as raw" in scamem("get", "t", "out.png", code=2).stderr
    assert b"NaN" in scamem("get", "nope", "out.npy", "--wait", "nan", code=2).stderr


def test_a_reader_that_goes_away(scamem: Run, environment: dict[str, str]) -> None:
    scamem("put", "-", "x", input=bytes(4 << 20))
    reader, writer = os.pipe()
    os.close(reader)
    ended: Any = subprocess.run(
        [*COMMAND, "get", "x", "-", "--as", "npy"],
        env=environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")
