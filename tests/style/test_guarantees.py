"""Each row of the guarantees names tests, and they are there."""

import ast
import re
from pathlib import Path

import pytest

ROWS = re.compile(r"^\| .* \|$", re.MULTILINE)
NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def rows(root: Path) -> list[str]:
    text = (root / "docs" / "guarantees.md").read_text()
    return [row for row in ROWS.findall(text) if not row.startswith(("| ---", "| what dies"))]


def test_each_row_names_a_test_that_exists(root: Path) -> None:
    found = rows(root)
    assert len(found) > 10
    for row in found:
        named = NAMED.findall(row)
        assert named, f"no test is named in {row[:60]}"
        for file, function in named:
            tree = ast.parse((root / "tests" / file).read_text())
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert function in functions, f"{file} has no {function}"


@pytest.mark.parametrize("word", ["init_on_alloc", "io_uring", "0700", "unpickled", "--repair"])
def test_the_security_page_speaks_of_it(root: Path, word: str) -> None:
    assert word in (root / "docs" / "security.md").read_text()
