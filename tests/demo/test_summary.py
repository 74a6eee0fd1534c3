"""The demo's work, against pandas."""

import numpy as np
import pandas as pd
import pytest

from scamem.cli.demo import answer, timing
from scamem.cli.demo.segments import opened
from scamem.cli.demo.summary import PIECE_ROWS, Summary, summarize
from scamem.cli.demo.table import DemoError, Table, from_frame


def frame_of(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(rows)
    value = random.normal(size=rows)
    value[::7] = np.nan
    return pd.DataFrame(
        {
            "who": pd.Series(random.choice(list("abc"), rows)).where(random.random(rows) > 0.1),
            "month": random.integers(-3, 9, rows),
            "value": value,
        }
    )


def summary_of(table: Table, parts: int) -> Summary:
    total = Summary.empty(timing.groups(table), len(table.values))
    for rows in timing.shares(table.rows, parts):
        task = timing.make_task(table, 0, rows, lambda name, part: table.columns[name][part])
        with opened(task.keys) as keys, opened(task.values) as values:
            total.add(summarize(keys, task.lows, task.counts, values))
    return total


@pytest.mark.parametrize("rows", [1, 2, 1000, 2 * PIECE_ROWS + 1])
@pytest.mark.parametrize("parts", [1, 3])
def test_as_pandas(rows: int, parts: int) -> None:
    table = from_frame(frame_of(rows), "made up", ("who", "month"), ("value",))
    assert answer.differences(summary_of(table, parts), table) == []


def test_differences_are_seen() -> None:
    table = from_frame(frame_of(1000), "made up", ("who", "month"), ("value",))
    wrong = summary_of(table, 1)
    wrong.sums[0][wrong.known[0] > 0] *= 1.001
    assert answer.differences(wrong, table) == ["means of value"]


def test_columns_are_chosen() -> None:
    frame = frame_of(1000)
    frame["big"] = np.arange(1000)
    table = from_frame(frame, "made up", (), ())
    assert [key.name for key in table.keys] == ["who", "month"]
    assert table.values == ("value",)


def test_what_cannot_be_grouped_is_said() -> None:
    with pytest.raises(DemoError, match="no column 'nobody'"):
        from_frame(frame_of(10), "made up", ("nobody",), ())
    with pytest.raises(DemoError, match="float64"):
        from_frame(frame_of(10), "made up", ("value",), ("month",))
    with pytest.raises(DemoError, match="no rows"):
        from_frame(frame_of(10)[:0], "made up", (), ())
