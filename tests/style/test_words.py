"""What must not stand in the project's files."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.style import sources

READ_BYTES_MAX = 1 << 20


def files() -> Iterator[tuple[Path, str]]:
    """Yield every text file of the project; outside a git checkout, those of its folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=sources.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [sources.ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [*sources.python_files(), *sorted((sources.ROOT / "docs").rglob("*.md"))]
    for path in paths:
        if path.is_file() and path.stat().st_size <= READ_BYTES_MAX:
            content = path.read_bytes()
            if b"\0" not in content:
                yield path, content.decode()


def found(pattern: re.Pattern[str], suffix: str = "") -> list[str]:
    """Return the places where a pattern stands, in files whose name ends so."""
    return [
        f"{sources.at(path, number)}: {line.strip()[:100]}"
        for path, text in files()
        if path.name.endswith(suffix)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_one_machine() -> None:
    home = Path.home()
    paths = [str(home)] if home != Path("/") else []
    parent = sources.ROOT.parent
    if not parent.is_relative_to(tempfile.gettempdir()) and parent != Path("/"):
        paths.append(str(parent))
    patterns = [re.escape(path) + "/" for path in paths] + [r"/ho[m]e/[a-z]", r"/ro[o]t/[a-z.]"]
    assert not found(re.compile(rf"(?<![\w.]){'|'.join(patterns)}"))


def test_no_package_host() -> None:
    """Packages come from where the user's own settings say."""
    assert not found(re.compile(r"(extra-)?ind[e]x-url|--find-lin[k]s|trusted-ho[s]t"))


def test_nothing_unfinished() -> None:
    assert not found(re.compile(r"\b(TO[D]O|FIX[M]E|NotImplemented[E]rror)\b|# ?X[X]X\b"))


def test_exceptions_to_the_linters_give_a_reason() -> None:
    bare = re.compile(r"# (type: ign[o]re|no[q]a)(\[[\w, -]+\]|: ?[\w, ]+)?\s*$")
    assert not found(bare, ".py")


def test_patterns_match_what_they_are_for() -> None:
    bare = re.compile(r"# (type: ign[o]re|no[q]a)(\[[\w, -]+\]|: ?[\w, ]+)?\s*$")
    mark = "no" + "qa"
    assert bare.search(f"x  # {mark}")
    assert bare.search(f"x  # {mark}: E501")
    assert not bare.search(f"x  # {mark}: E501 - the kernel's own line")
