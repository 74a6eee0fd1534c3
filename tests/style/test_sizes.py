"""Nothing is longer than one can hold in mind."""

from pathlib import Path

import pytest

from tests.style import sources

CORE_MODULE_LINES = 300
MODULE_LINES = 500
LAYOUT_LINES = 600  # a table that stays whole, and no code to follow
FUNCTION_LINES = 60
TRANSACTION_LINES = 40
LINE_LENGTH = 100


def names(path: Path) -> str:
    return str(path.relative_to(sources.ROOT))


@pytest.mark.parametrize("path", sources.python_files(), ids=names)
def test_modules(path: Path) -> None:
    limit = CORE_MODULE_LINES if path.is_relative_to(sources.CORE) else MODULE_LINES
    if path == sources.STORE / "layout.py":
        limit = LAYOUT_LINES
    lines = len(path.read_text().splitlines())
    assert lines <= limit, f"{names(path)} has {lines} lines; the limit is {limit}: split it"


@pytest.mark.parametrize("path", sources.python_files(), ids=names)
def test_functions(path: Path) -> None:
    transactions = sources.CORE / "transactions"
    limit = TRANSACTION_LINES if path.is_relative_to(transactions) else FUNCTION_LINES
    long = [
        f"{sources.at(path, function)} {function.name}: {sources.lines_of(function)} lines"
        for function in sources.functions(path)
        if sources.lines_of(function) > limit
    ]
    assert not long, f"longer than {limit} lines: {long}"


def written_by_hand() -> list[Path]:
    """Return the sources, without the header that is generated."""
    found = [*sources.python_files(), *sources.headers(), *sorted(sources.PACKAGE.rglob("*.h"))]
    return [path for path in found if path != sources.STORE / "layout.pxd"]


@pytest.mark.parametrize("path", written_by_hand(), ids=names)
def test_lines(path: Path) -> None:
    long = [
        sources.at(path, number)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LINE_LENGTH
    ]
    assert not long, f"longer than {LINE_LENGTH} characters: {long}"
