"""Messages and pages advise only what exists, and messages are plain English."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

import scamem
from scamem.backing.joining import WAYS_OUT
from scamem.cli.group import group
from tests.style import sources

OWNERS = {
    "arena": scamem.Arena,
    "pin": scamem.Pin,
    "obj": scamem.Scamem,
    "ring": scamem.RingBuffer,
    "rows": scamem.GrowableArray,
}
CLASSES = {name: getattr(scamem, name) for name in ("Arena", "Array", "Handle", "Pin", "Scamem")}
ATTRIBUTE = re.compile(rf"(?<![\w./]){'(' + '|'.join([*OWNERS, *CLASSES]) + ')'}\.([a-z]\w*)(?!/)")
FUNCTION = re.compile(r"(?<![\w./])scamem\.([A-Za-z]\w*)(?:\.([a-z_]\w*))?")
COMMAND = re.compile(r"(?:[`($|]|see|run) ?scamem ([a-z]+)((?: -{1,2}[a-z][\w-]*)*)")
SHELL = re.compile(r"(?<=^```sh\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
FILES = {"py", "md"}
STILTED = re.compile(
    r"\b(whoever|anew|what has a name|gone on from|as it must|to be had|there can be"
    r"|(?:is|are) no members?|takes? \w+ away|nobody put back|published already|writ\w+ over)\b"
    r"|\bcan be$"
)


def texts() -> Iterator[tuple[str, str]]:
    """Yield where a text for users stands, and the text: strings of the sources, and the pages."""
    for path in sources.python_files():
        if path.is_relative_to(sources.PACKAGE):
            yield from strings(path)
    pages = [sources.ROOT / "README.md", *sorted((sources.ROOT / "docs").rglob("*.md"))]
    for page in pages:
        text = SHELL.sub(lambda block: re.sub("(?m)^", "$ ", block[0]), page.read_text())
        yield str(page.relative_to(sources.ROOT)), text


def strings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the strings of a module, an f-string with a blank for each value."""
    parts: set[int] = set()
    for node in ast.walk(sources.tree(path)):
        if isinstance(node, ast.JoinedStr):
            parts.update(map(id, node.values))
            values = [v.value if isinstance(v, ast.Constant) else " " for v in node.values]
            yield sources.at(path, node), "".join(map(str, values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in parts:
                yield sources.at(path, node), node.value


def missing_in(text: str) -> list[str]:
    """Return what a text names although it does not exist."""
    found = []
    for owner, name in ATTRIBUTE.findall(text):
        if name not in FILES and not hasattr({**OWNERS, **CLASSES}[owner], name):
            found.append(f"{owner}.{name}")
    for name, further in FUNCTION.findall(text):
        inside = getattr(scamem, name, None)
        if inside is None and not sources.is_module(f"scamem.{name}"):
            found.append(f"scamem.{name}")
        elif isinstance(inside, type) and further and not hasattr(inside, further):
            found.append(f"scamem.{name}.{further}")
    for name, options in COMMAND.findall(text):
        command = group.get_command(click.Context(group), name)
        if command is None:
            found.append(f"scamem {name}")
            continue
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        known |= {"--help", "-h"}
        found.extend(f"scamem {name} {option}" for option in options.split() if option not in known)
    return found


def test_nothing_is_advised_that_does_not_exist() -> None:
    found = [f"{where}: {name}" for where, text in texts() for name in missing_in(text)]
    assert not found


def test_the_test_sees_what_is_wrong() -> None:
    assert missing_in(
        "arena.vanish(path), or scamem.nothing; `scamem nothing` and `scamem ls --no`"
    ) == [
        "arena.vanish",
        "scamem.nothing",
        "scamem nothing",
        "scamem ls --no",
    ]
    assert (
        missing_in("arena.trim() or scamem.Arena.join; src/scamem/arena.py; `scamem ls --json`")
        == []
    )


def messages() -> Iterator[tuple[str, str]]:
    """Yield where a text that is not a docstring stands, and the text; not those of designs."""
    for path in sources.python_files():
        if path.is_relative_to(sources.PACKAGE) and "designs" not in path.parts:
            docstrings = {
                str(node.value.value)
                for node in ast.walk(sources.tree(path))
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            }
            yield from (found for found in strings(path) if found[1] not in docstrings)


def test_messages_are_plain_english() -> None:
    assert not [f"{where}: {text}" for where, text in messages() if STILTED.search(text)]


def test_the_test_sees_stilted_messages() -> None:
    for text in (
        "would kill whoever has it mapped",
        "nothing is published already",
        "no member slot was to be had",
        "asked for 9 zones; 8 can be",
        "it was written over",
    ):
        assert STILTED.search(text)
    assert not STILTED.search("a name that can be published; it was overwritten")


def test_the_ways_to_reach_an_arena_exist() -> None:
    """The advice of ArenaUnreachableError, the longest there is, is seen by the test above."""
    assert "Arena.create(" in WAYS_OUT
    assert missing_in(WAYS_OUT) == []
