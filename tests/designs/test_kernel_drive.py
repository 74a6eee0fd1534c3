"""The drive of `make kernel` without a kernel: edits, archive, reading of the console."""

import subprocess
from pathlib import Path

import pytest

from kernel import edits, recording, sources
from kernel.booting import Boot, initramfs
from kernel.edits import EditError, after_line, at_end_of_struct, at_start, before_line, in_function

SOURCE = """\
#include <linux/list.h>

struct area {
	void *addr;
};

static inline int count(const struct page *page)
{
	int result;

	result = atomic_read(&page->_refcount);
	return result;
}

void put(struct page *page)
{
	drop(page);
}
"""


def test_a_statement_goes_behind_the_declarations() -> None:
    text = at_start("count", "early();")(SOURCE)
    assert "int result;\n\tearly();\n\n\tresult" in text
    assert "{\n\tearly();\n\tdrop(page);" in at_start("put", "early();")(SOURCE)


def test_edits_by_place_and_name() -> None:
    assert "\tint nr;\n};" in at_end_of_struct("area", "int nr;")(SOURCE)
    assert after_line("list.h", "#include <x.h>")(SOURCE).startswith(
        "#include <linux/list.h>\n#include <x.h>\n"
    )
    assert before_line("list.h", "/* */")(SOURCE).startswith("/* */\n#include")
    changed = in_function("count", r"&page->_refcount", "refp(page)")(SOURCE)
    assert "atomic_read(refp(page))" in changed


@pytest.mark.parametrize(
    "change",
    [
        at_start("absent", "x();"),
        at_end_of_struct("absent", "int x;"),
        in_function("put", "_refcount", "x"),
        in_function("count", "result", "x"),
        before_line("absent", "x"),
        after_line("page", "x"),
    ],
)
def test_a_place_that_is_not_there_once_is_an_error(change: edits.Change) -> None:
    with pytest.raises(EditError):
        change(SOURCE)


def test_the_first_alternative_that_fits_is_made(tmp_path: Path) -> None:
    (tmp_path / "f.c").write_text(SOURCE)
    edit = edits.Edit("f.c", "an early end", (at_start("absent", "x();"), at_start("put", "y();")))
    edit.apply(tmp_path)
    assert "y();" in (tmp_path / "f.c").read_text()
    missing = edits.Edit("f.c", "an early end", (at_start("absent", "x();"),))
    with pytest.raises(EditError, match=r"f\.c: an early end"):
        missing.apply(tmp_path)


def test_no_edit_brings_a_line_of_the_kernels_with_it() -> None:
    """What is put in is ours; a place is named by a word or two."""
    for edit in edits.EDITS:
        assert edit.why
        assert edit.alternatives


def test_the_archive_is_one_that_cpio_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"not really\n")
    (tmp_path / "lab").mkdir()
    monkeypatch.setattr("kernel.booting.BUILD", tmp_path)
    data = initramfs(program).read_bytes()
    assert data.startswith(b"070701")
    assert len(data) % 4 == 0
    names, at = [], 0
    while at < len(data):
        size, name_size = int(data[at + 54 : at + 62], 16), int(data[at + 94 : at + 102], 16)
        names.append(data[at + 110 : at + 109 + name_size].decode())
        at += (110 + name_size + 3) // 4 * 4 + (size + 3) // 4 * 4
    assert names == ["dev", "dev/console", "dev/null", "init", "TRAILER!!!"]


def test_the_console_is_read_as_facts_askers_and_complaints() -> None:
    console = [
        "@= version Linux version 6.12",
        "@@ gup-fast pinned=1 count=-1",
        "@? gup-fast try 3 try_get_folio",
        "BUG: KASAN: slab-use-after-free in x",
        "@@ page-twice same_page=1",
        "WARNING: CPU: 1 PID: 1 at mm/gup.c:70 try_get_folio",
        "@@ overflow supported=1",
        "@! offline-in-use signal=9",
        "@done",
    ]
    found = recording.parse(Boot(console))
    assert found["facts"] == {
        "gup-fast": {"pinned": 1, "count": -1},
        "page-twice": {"same_page": 1},
        "overflow": {"supported": 1},
    }
    assert found["asked"] == {"gup-fast": [("try", 3, "try_get_folio")]}
    assert found["trouble"] == {
        "page-twice": ["BUG: KASAN: slab-use-after-free in x"],
        "offline-in-use": ["@! offline-in-use signal=9"],
    }


def test_a_panic_belongs_to_the_scenario_that_may_end_so() -> None:
    boot = Boot(["@@ a x=1", "kernel BUG at mm/slub.c:1"], deadly="b")
    assert recording.parse(boot)["trouble"] == {"b": ["kernel BUG at mm/slub.c:1"]}


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PACKAGES", tmp_path)
    with pytest.raises(sources.MissingError, match=r"apt-get install linux-source-6\.12"):
        sources.patched(sources.Version("6.12"))
    with pytest.raises(sources.MissingError, match="no-such-tool"):
        sources.need("no-such-tool")


def test_a_file_is_written_only_if_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    sources.write_if_new(path, b"one")
    before = path.stat().st_mtime_ns
    sources.write_if_new(path, b"one")
    assert path.stat().st_mtime_ns == before
    sources.write_if_new(path, b"two")
    assert path.read_bytes() == b"two"


def test_keys_follow_contents_and_not_places(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = sources.key(tmp_path, "x")
    assert sources.key(tmp_path, "x") == first
    (tmp_path / "a").write_text("2")
    assert sources.key(tmp_path, "x") != first


def test_the_labs_program_compiles_without_a_warning(tmp_path: Path) -> None:
    lab = sources.HERE / "lab" / "lab.c"
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    include = f"-I{sources.HERE / 'src' / 'mm'}"
    subprocess.run([*command, include, str(lab)], check=True)
