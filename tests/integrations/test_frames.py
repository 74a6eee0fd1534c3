"""DataFrames of pandas and polars on frames."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import scamem
from tests.integrations.looks import assign, look

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pd = pytest.importorskip("pandas", reason="pandas is not installed")
pl = pytest.importorskip("polars", reason="polars is not installed")

from scamem.integrations import arrow  # noqa: E402 - after the check
from scamem.integrations import pandas as frames  # noqa: E402 - after the check
from scamem.integrations import polars as polar  # noqa: E402 - after the check

ROWS = 20_000
COLUMNS: dict[str, Any] = {
    "floats": np.arange(float(ROWS)),
    "numbers": np.arange(ROWS),
    "single": np.arange(ROWS, dtype=np.float32),
    "text": [f"row {k}" for k in range(ROWS)],
    "missing": pd.array([1, None] * (ROWS // 2), dtype="Int64"),
    "arrow": pd.array(range(ROWS), dtype="int64[pyarrow]"),
    "lists": pd.arrays.ArrowExtensionArray(pa.array([[1], None] * (ROWS // 2))),
    "categories": pd.Categorical(["a", "b"] * (ROWS // 2)),
    "dates": pd.date_range("2020", periods=ROWS, freq="s"),
    "zoned": pd.date_range("2020", periods=ROWS, freq="s", tz="UTC"),
    "lengths": pd.to_timedelta(range(ROWS)),
    "periods": pd.period_range("2020", periods=ROWS, freq="D"),
}


@pytest.fixture(autouse=True)
def nothing_is_left(arena: scamem.Arena) -> Iterator[None]:
    yield
    arena.clear()
    gc.collect()
    arena.reap(loans=True)
    assert arena.objects() == []


@pytest.mark.parametrize("column", COLUMNS)
def test_pandas_types(arena: scamem.Arena, column: str) -> None:
    frame = pd.DataFrame({column: COLUMNS[column]})
    found = frames.get(frames.put(frame, arena))
    pd.testing.assert_frame_equal(found, frame)
    assert scamem.is_shared(found)
    assert scamem.explain(found).startswith("by handle: ")
    assert scamem.explain(frame).startswith("by value: ")


def test_a_whole_frame(arena: scamem.Arena) -> None:
    frame = pd.DataFrame(COLUMNS).set_index("dates")
    frames.put(frame, arena, "frame")
    assert len(arena.objects()) == 1
    found = frames.get("frame", arena, timeout=1)
    pd.testing.assert_frame_equal(found, frame)
    assert scamem.is_shared(found)
    series = frames.get(frames.put(frame["floats"], arena))
    pd.testing.assert_series_equal(series, frame["floats"])
    index = frames.get(frames.put(frame.index, arena))
    pd.testing.assert_index_equal(index, frame.index)


def test_python_objects_are_copied_and_it_is_said(arena: scamem.Arena) -> None:
    frame = pd.DataFrame({"o": np.array([("a", 1)] * 1000 + [None], dtype=object), "n": 1.5})
    found = frames.get(frames.put(frame, arena))
    pd.testing.assert_frame_equal(found, frame)
    assert not scamem.is_shared(found)
    assert "by value: " in scamem.explain(found)


def test_blocks_are_read_only_or_writable_as_asked(arena: scamem.Arena) -> None:
    handle = frames.put(pd.DataFrame({"x": np.zeros(1000), "y": np.ones(1000)}), arena)
    reader = frames.get(handle)
    with pytest.raises(ValueError, match="read-only"):
        reader.loc[0, "x"] = 1
    writer = frames.get(handle, writable=True)
    writer.loc[0, "x"] = 7
    assert reader.loc[0, "x"] == 7
    writer["y"] = 3  # pandas puts a whole new column into private memory
    assert reader.loc[0, "y"] == 1
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(assign, (frames.get(handle, writable=True), 1, "x", 8.0))
    assert reader.loc[1, "x"] == 8


def test_pandas_frames_travel_by_handle(arena: scamem.Arena) -> None:
    frame = pd.DataFrame(COLUMNS)
    found = frames.get(frames.put(frame, arena))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(look, (found,)) == ("DataFrame", True, ROWS)
        assert pool.apply(look, (found["text"],)) == ("Series", True, ROWS)
        assert pool.apply(look, (found[["dates"]][5:50],)) == ("DataFrame", True, 45)
        assert pool.apply(look, (frame,)) == ("DataFrame", False, ROWS)


def test_what_is_no_frame(arena: scamem.Arena) -> None:
    with pytest.raises(TypeError, match="asked to store a list as a DataFrame"):
        frames.put([1], arena)  # type: ignore[arg-type]  # on purpose
    arena["numbers"] = np.arange(3)
    with pytest.raises(TypeError, match=r"arena\.get"):
        frames.get("numbers", arena)
    with pytest.raises(TypeError, match="collect"):
        polar.put(pl.LazyFrame({"a": [1]}), arena)


def test_polars(arena: scamem.Arena) -> None:
    frame = pl.DataFrame(
        {
            "numbers": range(ROWS),
            "text": [f"a row with a long text {k}" for k in range(ROWS)],
            "missing": [1.5, None] * (ROWS // 2),
            "flags": [True, None] * (ROWS // 2),
            "lists": [[1, 2], None] * (ROWS // 2),
        }
    ).with_columns(
        pl.col("numbers").cast(pl.Datetime).alias("times"),
        pl.struct("numbers", "text").alias("structs"),
    )
    polar.put(frame, arena, "frame")
    found = polar.get("frame", arena, timeout=1)
    assert found.equals(frame)
    assert scamem.is_shared(found)
    assert scamem.explain(found).startswith("by handle: ")
    assert not scamem.is_shared(frame)
    decimals = frame.select(pl.col("numbers").cast(pl.Decimal(20, 2)))
    assert polar.get(polar.put(decimals, arena)).equals(decimals)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(look, (found,)) == ("DataFrame", True, ROWS)
        assert pool.apply(look, (found[["numbers", "text"]][5:50],)) == ("DataFrame", True, 45)
        assert pool.apply(look, (frame,)) == ("DataFrame", False, ROWS)


def test_one_table_for_all_three(arena: scamem.Arena) -> None:
    arrow.put(pd.DataFrame({"x": [1.5, 2.5], "s": ["a", None]}), arena, "t")
    assert polar.get("t", arena)["s"].to_list() == ["a", None]
    polar.put(pl.DataFrame({"x": [1, 2], "c": ["a", "b"]}), arena, "t")
    assert arrow.get("t", arena).to_pandas()["x"].tolist() == [1, 2]
