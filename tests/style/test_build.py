"""What a build compiles again: every module that is made from what changed, and no other."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.style.sources import ROOT, SOURCES

TOOLS = {
    name: runpy.run_path(str(ROOT / "tools" / f"{name}.py"), run_name="test")
    for name in ("dependencies", "generate_headers", "generate_layout")
}
GENERATED = ROOT / "build" / "cython"
QUOTED = re.compile(r'^ */\* "(scamem/[^"\n]*)":\d+$', re.MULTILINE)


def compiled(sources: Path = SOURCES) -> list[Path]:
    """Return the modules that have a compiled one, as the build in this clone has made them."""
    found = [
        sources / path.relative_to(GENERATED / "src").with_suffix(".py")
        for path in sorted((GENERATED / "src").rglob("*.c"))
    ]
    return [path for path in found if path.exists()]


def digests(sources: Path) -> dict[str, str]:
    """Return what decides whether each module is compiled again."""
    tools, tree = TOOLS["dependencies"], TOOLS["dependencies"]["Tree"](sources)
    return {
        str(path.relative_to(sources)): tools["fingerprint"](tree.made_from(path))
        for path in compiled(sources)
    }


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources, that may be changed; its headers are as a build would write them."""
    shutil.copytree(SOURCES, tmp_path / "src", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    generate(tmp_path / "src")
    return tmp_path / "src"


def generate(sources: Path) -> None:
    """Write the headers that a build writes first."""
    package = sources / "scamem"
    TOOLS["generate_layout"]["write_header"](package / "core" / "store" / "layout.py")
    TOOLS["generate_layout"]["write_header"](package / "core" / "sync" / "places.py")
    TOOLS["generate_headers"]["write_headers"](package)


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first text with another; it must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def changed_by(sources: Path, name: str, old: str, new: str) -> set[str]:
    """Edit one file, generate headers; return the modules that a build compiles again."""
    before = digests(sources)
    edit(sources / "scamem" / name, old, new)
    generate(sources)
    return {module for module, digest in digests(sources).items() if digest != before[module]}


def containing(text: str) -> set[str]:
    """Return the modules whose generated C has a text in it."""
    return {
        str(path.relative_to(SOURCES))
        for path in compiled()
        if text in (GENERATED / "src" / path.relative_to(SOURCES)).with_suffix(".c").read_text()
    }


def test_cython_read_no_file_that_is_unknown_to_the_build() -> None:
    """Generated C quotes each line that it was made from: Cython's own witness."""
    tree = TOOLS["dependencies"]["Tree"](SOURCES)
    assert compiled()
    for module in compiled():
        made = (GENERATED / "src" / module.relative_to(SOURCES)).with_suffix(".c")
        quoted = {SOURCES / name for name in QUOTED.findall(made.read_text())}
        assert module in quoted
        assert quoted <= set(tree.made_from(module)), module


def test_a_constant_recompiles_whoever_sees_it(copy: Path) -> None:
    again = changed_by(copy, "core/store/layout.py", "SHIFT_32 = 32", "SHIFT_32 = 31 + 2")
    assert again >= containing("#define SCAMEM_LAYOUT_SHIFT_32 ")
    assert 0 < len(again) <= len(compiled())


def test_the_same_value_written_otherwise_recompiles_nothing(copy: Path) -> None:
    assert changed_by(copy, "core/store/layout.py", "SHIFT_32 = 32", "SHIFT_32 = 16 + 16") == set()


def test_a_body_recompiles_whoever_includes_it(copy: Path) -> None:
    again = changed_by(
        copy, "core/objects.py", "    ensure(", "    ensure(arena, True)\n    ensure("
    )
    assert again >= containing("_f_6scamem_4core_7objects_")
    assert 0 < len(again) < len(compiled()) / 2


def test_a_docstring_of_a_body_recompiles_nothing(copy: Path) -> None:
    assert changed_by(copy, "core/objects.py", '    """Return', '    """Say, and return') == set()


def test_a_header_of_c_recompiles_whoever_includes_it(copy: Path) -> None:
    again = changed_by(copy, "core/store/words.h", "#include <errno.h>", "#include <errno.h>\n")
    assert again == containing('#include "words.h"')


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("py", "from cython.cimports.pack.inner import (\n    one,\n    far,\n)\n"),
        ("py", "if True:\n    import cython.cimports.pack.inner.far as far\n"),
        ("pxd", "from pack.inner cimport (one,  # why\n    far as f)\n"),
        ("pxd", "from .inner.far cimport name\n"),
        ("pxd", "from . cimport other, \\\n    inner\nfrom pack.inner cimport far\n"),
        ("pxd", "cimport libc, pack.inner.far\n"),
        ("pxd", "cdef extern from 'outer.h':\n    int x\n"),
        ("pxd", 'cdef extern from *:\n    """\n    #include <outer.h>\n    """\n'),
        ("pxd", 'include "text.pxi"\n'),
    ],
)
def test_each_way_to_name_a_file_is_known(tmp_path: Path, suffix: str, text: str) -> None:
    inner = tmp_path / "pack" / "inner"
    inner.mkdir(parents=True)
    for path in (inner.parent / "__init__.pxd", inner / "__init__.pxd", inner / "one.pxd"):
        path.write_text("")
    (inner / "far.pxd").write_text('cdef extern from "near.h":\n    int y\n')
    (inner / "near.h").write_text('#include "deep.h"\n')
    (inner / "deep.h").write_text("")
    (inner / "outer.h").write_text('#  include "deep.h"\n')
    (inner / "text.pxi").write_text("cimport pack.inner.far\n")
    module = tmp_path / "pack" / "module.py"
    module.write_text("")
    module.with_suffix(".pxd").write_text("")
    module.with_suffix(f".{suffix}").write_text(text)
    found = TOOLS["dependencies"]["Tree"](tmp_path).made_from(module)
    assert inner / "deep.h" in found


def record(path: Path, **changes: Any) -> Any:
    """Return what a build knows of one generated file."""
    wanted = {"made_from": "a", "beside": "b", "strict": False} | changes
    return TOOLS["dependencies"]["Generated"](path, **wanted)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Generated C, with its record."""
    path = tmp_path / "x.c"
    path.write_text('  /* "x.py":7\n * line\n */\ncode;\n')
    record(path).settle()
    return path


def remake(path: Path, text: str, **changes: Any) -> bool:
    """Generate C again; return whether the C compiler has anything to do."""
    one = record(path, **changes)
    assert not one.is_fresh()
    before_ns = path.stat().st_mtime_ns
    one.set_aside()
    assert not path.exists()
    path.write_text(text)
    differs = one.settle()
    assert differs == (path.stat().st_mtime_ns != before_ns)
    assert one.is_fresh()
    return bool(differs)


def test_only_other_code_is_compiled_again(made: Path) -> None:
    assert record(made).is_fresh()
    assert not remake(made, '  /* "x.py":9\n * moved\n */\ncode;\n', made_from="c")
    assert remake(made, '  /* "x.py":9\n * line\n */\nother;\n', made_from="d")
    assert remake(made, "other;\n", made_from="e", beside="f"), "options or a header changed"


def test_what_was_made_with_warnings_is_made_again_without(made: Path) -> None:
    text = made.read_text()
    assert remake(made, text, strict=True)
    assert record(made).is_fresh()
    assert record(made, strict=True).is_fresh()


def test_a_build_that_ended_half_way_is_begun_again(made: Path) -> None:
    record(made, made_from="c").set_aside()
    assert not record(made, made_from="c").is_fresh()
    assert not record(made).is_fresh()
    made.write_text("half")
    assert not record(made, made_from="c").is_fresh()
    record(made).record.write_text("{")
    assert not record(made).is_fresh()
