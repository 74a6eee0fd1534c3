"""Arrow tables on frames: what is put is got, in any process, and nothing is copied."""

from __future__ import annotations

import gc
import io
import multiprocessing
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

from pyarrow import feather, ipc, parquet  # noqa: E402 - after the check

from scamem.integrations import arrow  # noqa: E402 - after the check
from tests.integrations.looks import look, total  # noqa: E402 - after the check

ROWS = 20_000
COLUMNS: dict[str, Any] = {
    "numbers": pa.array(range(ROWS)),
    "missing": pa.array([1.5, None] * (ROWS // 2)),
    "text": pa.array([f"row {k}" for k in range(ROWS)]),
    "large_text": pa.array(["é", None] * (ROWS // 2), pa.large_string()),
    "views": pa.array(["a string of more than twelve bytes", "x"] * (ROWS // 2), pa.string_view()),
    "words": pa.array(["a", "b"] * (ROWS // 2)).dictionary_encode(),
    "flags": pa.array([True, None] * (ROWS // 2)),
    "lists": pa.array([[1, 2], None] * (ROWS // 2)),
    "structs": pa.array([{"x": 1, "y": ["q"]}, None] * (ROWS // 2)),
    "maps": pa.array([[("k", 1)], []] * (ROWS // 2), pa.map_(pa.string(), pa.int8())),
    "decimals": pa.array([Decimal("1.25"), None] * (ROWS // 2)),
    "times": pa.array(range(ROWS), pa.timestamp("us", "UTC")),
    "nothing": pa.nulls(ROWS),
    "unions": pa.UnionArray.from_sparse(
        pa.array([0, 1] * (ROWS // 2), pa.int8()), [pa.array(range(ROWS)), pa.array(["u"] * ROWS)]
    ),
}
WHOLE = pa.table(COLUMNS).replace_schema_metadata({"made": "here"})


@pytest.fixture(autouse=True)
def nothing_is_left(arena: scamem.Arena) -> Iterator[None]:
    yield
    gc.collect()
    arena.reap(loans=True)
    assert arena.objects() == []


def buffers(table: Any) -> list[Any]:
    return [
        buffer
        for column in table.columns
        for chunk in column.chunks
        for buffer in chunk.buffers()
        if buffer is not None and buffer.size
    ]


@pytest.mark.parametrize("column", COLUMNS)
def test_each_type(arena: scamem.Arena, column: str) -> None:
    table = WHOLE.select([column])
    found = arrow.get(arrow.put(table, arena))
    assert found.equals(table, check_metadata=True)
    found.validate(full=True)
    assert scamem.is_shared(found) or column == "nothing"
    assert not any(buffer.is_mutable for buffer in buffers(found))


def test_a_whole_table_is_one_object(arena: scamem.Arena) -> None:
    handle = arrow.put(WHOLE, arena)
    assert len(arena.objects()) == 1
    found = arrow.get(bytes(handle))
    del handle
    assert found.equals(WHOLE, check_metadata=True)


def test_only_the_rows_of_a_slice_are_stored(arena: scamem.Arena) -> None:
    part = WHOLE.select(["text", "numbers", "words"]).slice(7, 100)
    arrow.put(part, arena, "part")
    assert arrow.get("part", arena).equals(part)
    assert arena.objects()[0].nr <= 4
    arena.clear()


@pytest.mark.parametrize("table", [pa.table({}), WHOLE.slice(0, 0), pa.table({"a": []})])
def test_empty_tables(arena: scamem.Arena, table: Any) -> None:
    found = arrow.get(arrow.put(table, arena))
    assert found.equals(table)
    assert found.schema.equals(table.schema)


def test_a_name_gets_the_newer_table(arena: scamem.Arena) -> None:
    arrow.put(pa.table({"a": [1]}), arena, "t")
    first = arrow.get("t", arena)
    arrow.put(pa.table({"a": [2, 3]}), arena, "t")
    assert arrow.get("t", arena, timeout=1)["a"].to_pylist() == [2, 3]
    assert first["a"].to_pylist() == [1]
    arena.clear()


@pytest.mark.parametrize("rows", [100, ROWS])
def test_a_reader_is_written_in_pieces(arena: scamem.Arena, rows: int) -> None:
    plain = WHOLE.drop_columns(["views", "unions"])  # of which each batch has all data
    table = pa.concat_tables([plain] * 4).combine_chunks()  # more than one piece
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(rows * 4))
    handle = arrow.put(reader, arena)
    found = arrow.get(handle)
    assert found.equals(table)
    assert scamem.is_shared(found)
    assert len(arena.objects()) == 1


def test_a_reader_that_fails_leaves_nothing(arena: scamem.Arena) -> None:
    def batches() -> Iterator[Any]:
        yield from WHOLE.to_batches()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        arrow.put(pa.RecordBatchReader.from_batches(WHOLE.schema, batches()), arena)


def test_dictionaries_that_differ_from_batch_to_batch(arena: scamem.Arena) -> None:
    batches = [pa.record_batch({"d": pa.array([w]).dictionary_encode()}) for w in ("a", "b", "a")]
    table = pa.Table.from_batches(batches)
    assert arrow.get(arrow.put(table, arena))["d"].to_pylist() == ["a", "b", "a"]
    reader = pa.RecordBatchReader.from_batches(table.schema, batches)
    assert arrow.get(arrow.put(reader, arena))["d"].to_pylist() == ["a", "b", "a"]


def test_any_object_with_a_stream(arena: scamem.Arena) -> None:
    class Streamed:
        def __arrow_c_stream__(self, schema: object = None) -> Any:
            return WHOLE.__arrow_c_stream__(schema)

    assert arrow.get(arrow.put(Streamed(), arena)).equals(WHOLE)
    assert arrow.get(arrow.put(WHOLE.to_batches()[0], arena)).equals(WHOLE)


def test_what_is_no_table(arena: scamem.Arena) -> None:
    with pytest.raises(TypeError, match="asked to store a list as an Arrow table"):
        arrow.put([1, 2], arena)
    arena["numbers"] = np.arange(3)
    arena["bytes"] = np.arange(100, dtype=np.uint8)
    for name in arena:
        with pytest.raises(TypeError, match=r"arena\.get"):
            arrow.get(name, arena)
    arena.clear()


def test_a_table_that_was_got_is_not_copied_again(arena: scamem.Arena) -> None:
    handle = arrow.put(WHOLE, arena)
    table = arrow.get(handle)
    again = arrow.put(table, arena, "again")
    assert len(arena.objects()) == 1
    part = arrow.put(table.slice(0, 10), arena)
    assert len(arena.objects()) == 2
    del handle, table, again, part
    assert arrow.get("again", arena).equals(WHOLE)
    arena.clear()


@pytest.mark.parametrize("kind", ["Table", "RecordBatch", "ChunkedArray"])
def test_it_travels_by_handle(arena: scamem.Arena, kind: str) -> None:
    table = arrow.get(arrow.put(WHOLE, arena)).select(["numbers", "text", "lists"])
    value = {
        "Table": table,
        "RecordBatch": table.to_batches()[0],
        "ChunkedArray": table["text"],
    }[kind]
    assert scamem.explain(value).startswith("by handle: ")
    assert scamem.explain(WHOLE).startswith("by value: ")
    assert arena.loans() == []  # to explain lends nothing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(look, (value,)) == (kind, True, ROWS)
        assert pool.apply(look, (value[10:20],)) == (kind, True, 10)
        assert pool.apply(look, (WHOLE,)) == ("Table", False, ROWS)
        if kind == "Table":
            assert pool.apply(total, (table, "numbers")) == sum(range(ROWS))


def test_parquet(arena: scamem.Arena, tmp_path: Path) -> None:
    table = WHOLE.drop_columns(["unions", "views"])
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=3000)
    found = arrow.read_parquet(tmp_path / "t.parquet", arena=arena, name="t")
    assert found.equals(parquet.read_table(tmp_path / "t.parquet"))
    assert found.schema.metadata == {b"made": b"here"}
    assert scamem.is_shared(found)
    assert len(arena.objects()) == 1
    part = arrow.read_parquet(tmp_path / "t.parquet", ["text", "numbers"], arena)
    assert part.equals(table.select(["text", "numbers"]))
    with pytest.raises(FileNotFoundError):
        arrow.read_parquet(tmp_path / "none.parquet", arena=arena)
    arena.clear()


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_feather(arena: scamem.Arena, tmp_path: Path, compression: str) -> None:
    table = WHOLE.drop_columns(["unions"])
    feather.write_feather(table, tmp_path / "t.feather", compression)
    found = arrow.read_feather(tmp_path / "t.feather", arena=arena)
    assert found.equals(table)
    assert scamem.is_shared(found)


def test_an_arrow_file_that_was_stored_as_bytes(arena: scamem.Arena, tmp_path: Path) -> None:
    with ipc.new_file(tmp_path / "t.arrow", WHOLE.schema) as writer:
        writer.write_table(WHOLE)
    arena["t"] = arena.from_file(tmp_path / "t.arrow")
    assert arrow.get("t", arena).equals(WHOLE)
    arena.clear()


# --- CSV: what is read can be written as it was ------------------------------------------------

EXACT = {
    "leading zeros": (["01234", "00501"], pa.string()),
    "ids with one missing": (["9007199254740993", ""], pa.int64()),
    "beyond int64": (["18446744073709551615", "3"], pa.uint64()),
    "beyond uint64": (["18446744073709551616", "3"], pa.string()),
    "beyond float64": (["9007199254740993", "0.5"], pa.string()),
    "beyond both": (["18446744073709551615", "-3"], pa.string()),
    "many digits": (["0.1234567890123456789", "1"], pa.string()),
    "17 digits": (["0.10000000000000001", "1"], pa.float64()),
    "shortest": (["0.1", "1e-300", "-2.5E+3", "0.30000000000000004"], pa.float64()),
    "too large": (["1e999", "1"], pa.string()),
    "too small": (["1e-999", "1"], pa.string()),
    "names of numbers": (["Inf", "1"], pa.string()),
    "underscores": (["12_34", "5"], pa.string()),
    "plus": (["+1", "2"], pa.string()),
    "spaces": ([" 1", "2"], pa.string()),
    "hexadecimal": (["0x10", "1"], pa.string()),
    "other digits": (["١٢", "٣"], pa.string()),
    "minus zero": (["-0", "1"], pa.float64()),
    "dates": (["2026-11-27", ""], pa.string()),
    "truth": (["true", "false"], pa.string()),
    "missing": (["NA", "1.5", "nan"], pa.float64()),
    "all missing": (["NA", "N/A"], pa.string()),
}


def csv(text: str | bytes, arena: scamem.Arena, **options: Any) -> Any:
    data = text.encode() if isinstance(text, str) else text
    return arrow.read_csv(io.BytesIO(data), arena=arena, **options)


@pytest.mark.parametrize("case", EXACT)
def test_csv_changes_no_value(arena: scamem.Arena, case: str) -> None:
    values, kind = EXACT[case]
    column = csv("k,v\n" + "".join(f"x,{value}\n" for value in values), arena)["v"]
    assert column.type == kind
    missing = ("", "NA", "N/A", "nan")
    for found, text in zip(column.to_pylist(), values, strict=True):
        if kind == pa.string():
            assert found == text
        elif text in missing:
            assert found is None
        else:
            assert found == (float(text) if kind == pa.float64() else int(text))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a;b\n1;2\n", {"a": [1], "b": [2]}),
        ("a\tb\n1\t2,5\n", {"a": [1], "b": ["2,5"]}),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", {"a": [1], "b": [2]}),
        ('a,b\n"x\ny","say ""hi"""\n', {"a": ["x\ny"], "b": ['say "hi"']}),
        ("a,b\n", {"a": [], "b": []}),
        ('a,b\n5" pipe,"x"\n', {"a": ['5" pipe'], "b": ["x"]}),
    ],
)
def test_csv_dialects(arena: scamem.Arena, text: str | bytes, columns: Any) -> None:
    assert csv(text, arena).to_pydict() == columns


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("a,a\n1,2\n", "unique"),
        ("a,\n1,2\n", "unique"),
        ("a,b\n1\n", "Expected 2 columns, got 1"),
        ("a,b\n1,2,3\n", "Expected 2 columns, got 3"),
        ('a,b\n1,"x\n2,3\n4,5\n', "is not closed"),
        ('a,b\n1,"x', "is not closed"),
        (b"a\n\xff\xfe\n", "UTF8"),
    ],
)
def test_csv_that_is_refused(arena: scamem.Arena, text: str | bytes, why: str) -> None:
    with pytest.raises(pa.ArrowInvalid, match=why):
        csv(text, arena)


def test_csv_files(arena: scamem.Arena, tmp_path: Path) -> None:
    import gzip

    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n1,x\n"))
    (tmp_path / "t.tsv").write_text("a,b\tc\n1\t2\n")
    found = arrow.read_csv(tmp_path / "t.csv.gz", ["b", "a"], arena)
    assert found.to_pydict() == {"b": ["x"], "a": [1]}
    assert scamem.is_shared(found)
    assert arrow.read_csv(tmp_path / "t.tsv", arena=arena).to_pydict() == {"a,b": [1], "c": [2]}
    assert csv("a|b\n1|2\n", arena, delimiter=",").to_pydict() == {"a|b": ["1|2"]}
