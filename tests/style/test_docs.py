"""The site: every page is in its menu and reachable, links lead somewhere, names stand in it."""

from __future__ import annotations

import itertools
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

import scamem
from scamem import errors
from tests.style.sources import PACKAGE, ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OTHERS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
CODE = re.compile(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
QUOTED = re.compile(r"^::: (scamem[\w.]*)", re.MULTILINE)
SOUGHT = ("torch", "joblib", "pandas", "docker", "jupyter", "shared_memory")  # in the search


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """Return a page without its code."""
    return CODE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as the site makes them."""
    found = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", path.read_text(), flags=16 | 8), 8)
    return {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in found
    }


def links() -> Iterator[tuple[Path, str]]:
    for page in [*PAGES, *OTHERS]:
        for target in LINK.findall(prose(page)):
            if not urllib.parse.urlsplit(target).scheme:
                yield page, target


def test_links_lead_somewhere() -> None:
    broken = []
    for page, target in links():
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.is_file():
            broken.append(f"{named(page)}: {target}: no such file")
        elif anchor and anchor not in anchors(found):
            broken.append(f"{named(page)}: {target}: no such heading")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_page_is_in_the_menu_and_linked_from_the_front(page: Path) -> None:
    name = str(page.relative_to(DOCS))
    assert f": {name}\n" in (ROOT / "mkdocs.yml").read_text(), f"add {name} to nav in mkdocs.yml"
    front = DOCS / "index.md"
    assert page == front or f"]({name})" in front.read_text(), f"link {name} from docs/index.md"


def test_every_public_name_stands_in_the_reference() -> None:
    reference = "".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))
    bare = [name for name in scamem.__all__ if not re.search(rf"[.\W]{name}\b", reference)]
    assert not bare, f"not in docs/reference: {bare}"


def test_every_method_of_an_arena_stands_in_the_reference() -> None:
    page = (DOCS / "reference" / "arena.md").read_text()
    own = (PACKAGE / "arena.py").read_text()  # these come with the class
    bare = [
        name
        for name in vars(scamem.Arena)
        if not name.startswith("_")
        and f"def {name}(" not in own
        and not re.search(rf"[\[ ]{name}[,\]]", page)
    ]
    assert not bare, f"not in docs/reference/arena.md: {bare}"


def test_every_exception_has_an_entry() -> None:
    page = (DOCS / "reference" / "errors.md").read_text()
    kinds = [
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, errors.ScamemError | Warning)
    ]
    bare = [name for name in kinds if f"\n## {name}\n" not in page]
    assert not bare, f"no entry in docs/reference/errors.md: {bare}"


def test_what_people_look_for_is_found() -> None:
    whole = "".join(map(prose, PAGES)).lower()
    assert [word for word in SOUGHT if word not in whole] == []


def test_lists_do_not_collapse() -> None:
    """Markdown needs an empty line before a list, also in a docstring that a page quotes."""
    texts = {named(page): prose(page) for page in PAGES}
    for page in PAGES:
        for name in QUOTED.findall(page.read_text()):
            source = PACKAGE.parent / Path(*name.split(".")).with_suffix(".py")
            if source.exists():
                texts[named(source)] = source.read_text().split('"""')[1]
    collapsed = []
    for name, text in texts.items():
        lines = text.splitlines()
        for before, line in itertools.pairwise(lines):
            starts = re.match(r"(?:[-*]|\d+\.) ", line)
            if starts and before.strip() and not re.match(r"(?:[-*]|\d+\.) |  ", before):
                collapsed.append(f"{name}: {line}")
    assert not collapsed, "an empty line is missing before the list:\n" + "\n".join(collapsed)
