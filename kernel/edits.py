"""What is changed in the kernel's own files: edits by place and name, none of its text.

Each edit names a file, a function (or struct, or a line by what it contains) and what to put
there. It must find its place exactly once, or the build stops and says which. The same edits fit
6.1 and 6.12; where a function has another name in one of them, both are given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Change = Callable[[str], str]


class EditError(Exception):
    """A place that an edit names is not there, or is there more than once."""


@dataclass(frozen=True)
class Edit:
    """A change of one file; the first alternative that finds its place is made."""

    file: str
    why: str
    alternatives: tuple[Change, ...]

    def apply(self, tree: Path) -> None:
        """Change the file in place.

        Raises
        ------
        EditError : no alternative found its place; says what each of them missed.
        """
        path = tree / self.file
        text = path.read_text()
        missed = []
        for change in self.alternatives:
            try:
                path.write_text(change(text))
            except EditError as error:
                missed.append(str(error))
                continue
            return
        raise EditError(f"{self.file}: {self.why}: {'; '.join(missed)}")


def _body(text: str, head: str) -> tuple[int, int]:
    """Where the braces of a function or struct are; its head begins a line."""
    found = [
        match
        for match in re.finditer(head, text, re.MULTILINE)
        if re.match(r"[^;{}]*\{", text[match.start() :])
    ]
    if len(found) != 1:
        raise EditError(f"{len(found)} places for {head!r}")
    start = text.index("{", found[0].start())
    end = text.index("\n}", start)
    return start + 1, end


def _function(name: str) -> str:
    return rf"^(?!\s)(?:[\w\s\*]*?[\s\*])?{name}\("


def at_start(name: str, statement: str) -> Change:
    """A statement before all others of a function, behind its declarations."""

    def change(text: str) -> str:
        start, end = _body(text, _function(name))
        body = text[start:end]
        first = re.match(r"\n\t(?:const |unsigned |struct |int |bool |enum |atomic_t )", body)
        at = body.index("\n\n") if first else 0
        return text[: start + at] + f"\n\t{statement}" + text[start + at :]

    return change


def in_function(name: str, pattern: str, replacement: str) -> Change:
    """Replace a pattern, which occurs once in that function."""

    def change(text: str) -> str:
        start, end = _body(text, _function(name))
        body, count = re.subn(pattern, replacement, text[start:end])
        if count != 1:
            raise EditError(f"{count} times {pattern!r} in {name}()")
        return text[:start] + body + text[end:]

    return change


def at_end_of_struct(name: str, members: str) -> Change:
    """Members behind the last one."""

    def change(text: str) -> str:
        _, end = _body(text, rf"^struct {name} \{{")
        return text[:end] + f"\n\t{members}" + text[end:]

    return change


def before_line(pattern: str, line: str) -> Change:
    """A line before the only one that matches."""

    def change(text: str) -> str:
        found = list(re.finditer(rf"^.*{pattern}.*$", text, re.MULTILINE))
        if len(found) != 1:
            raise EditError(f"{len(found)} lines for {pattern!r}")
        return text[: found[0].start()] + line + "\n" + text[found[0].start() :]

    return change


def after_line(pattern: str, line: str) -> Change:
    """A line behind the only one that matches."""

    def change(text: str) -> str:
        found = list(re.finditer(rf"^.*{pattern}.*$", text, re.MULTILINE))
        if len(found) != 1:
            raise EditError(f"{len(found)} lines for {pattern!r}")
        return text[: found[0].end()] + "\n" + line + text[found[0].end() :]

    return change


def _counts(name: str, why: str, member: str = r"page->_refcount", base: str = "page") -> Change:
    return in_function(name, rf"&{member}", f"scamem_refp({base}, SCAMEM_{why})")


REF = "include/linux/page_ref.h"
VMALLOC = "mm/vmalloc.c"
SKIP_MAPS = "if (scamem_page(page))\n\t\treturn;\t/* an object's pages have no map count */"

LAST_OF_BATCH = (
    r"\n\t\tif (scamem_page(&folio->page)) {\n\t\t\tscamem_last_put(&folio->page);"
    r"\n\t\t\tcontinue;\n\t\t}\n"
)

EDITS: Sequence[Edit] = (
    Edit("include/linux/page-flags.h", "a flag", (before_line("__NR_PAGEFLAGS,", "\tPG_scamem,"),)),
    Edit(
        "include/trace/events/mmflags.h",
        "the flag's name",
        (
            after_line(r"DEF_PAGEFLAG_NAME\(locked\)", "\tDEF_PAGEFLAG_NAME(scamem),\t\\"),
            after_line(r"1UL << PG_locked,", '\t{1UL << PG_scamem, "scamem"},\t\\'),
        ),
    ),
    Edit(
        REF, "the object's count", (after_line("linux/page-flags.h", "#include <linux/scamem.h>"),)
    ),
    Edit(
        REF,
        "counts are read under RCU",
        (
            at_start(
                "page_ref_count",
                "if (scamem_page(page)) {\n\t\tint count;\n\n"
                "\t\tif (scamem_read(page, &count))\n\t\t\treturn count;\n\t}",
            ),
        ),
    ),
    Edit(
        REF,
        "a reference is tried under RCU",
        (
            at_start(
                "page_ref_add_unless",
                "if (scamem_page(page)) {\n\t\tbool taken;\n\n"
                "\t\tif (scamem_try_add(page, nr, u, &taken))\n\t\t\treturn taken;\n\t}",
            ),
        ),
    ),
    *(
        Edit(REF, f"{name}()", (_counts(name, why),))
        for name, why in (
            ("page_ref_add", "GET"),
            ("page_ref_inc", "GET"),
            ("page_ref_inc_return", "GET"),
            ("page_ref_sub", "PUT"),
            ("page_ref_dec", "PUT"),
            ("page_ref_sub_and_test", "PUT"),
            ("page_ref_dec_and_test", "PUT"),
            ("page_ref_dec_return", "PUT"),
            ("page_ref_freeze", "FREEZE"),
            ("page_ref_unfreeze", "FREEZE"),
        )
    ),
    Edit(
        REF,
        "a difference returned",
        (
            _counts("folio_ref_sub_return", "PUT", "folio->_refcount", "&folio->page"),
            _counts("page_ref_sub_return", "PUT"),
        ),
    ),
    Edit(
        "include/linux/mm.h",
        "node",
        (
            in_function(
                "page_to_nid",
                r"PF_POISONED_CHECK\((\w+)\)->flags",
                r"scamem_flags(\1, SCAMEM_NODE)",
            ),
        ),
    ),
    Edit(
        "include/linux/mm.h",
        "node and zone in one",
        (in_function("page_zone_id", r"page->flags", "scamem_flags(page, SCAMEM_ZONEID)"),),
    ),
    Edit(
        "include/linux/mmzone.h",
        "zone",
        (in_function("page_zonenum", r"\(page->flags >>", "(scamem_flags(page, SCAMEM_ZONE) >>"),),
    ),
    Edit(
        "include/linux/mmzone.h",
        "header",
        (after_line("include <linux/page-flags.h>", "#include <linux/scamem.h>"),),
    ),
    Edit(
        "include/linux/vmalloc.h",
        "header",
        (after_line("#include <linux/list.h>", "#include <linux/scamem.h>"),),
    ),
    Edit(
        "include/linux/vmalloc.h",
        "an area's object",
        (
            at_end_of_struct(
                "vm_struct",
                "struct scamem\t\t*scamem;\n\tstruct obj_cgroup\t*objcg;\n"
                "\tstruct scamem\t\town;\t/* option 3 */",
            ),
        ),
    ),
    Edit(
        VMALLOC,
        "charged as a whole",
        (
            in_function(
                "__vmalloc_area_node",
                r"(\n\tset_vm_area_page_order\()",
                r"\n\tgfp_mask = scamem_charge(area, gfp_mask, size);\1",
            ),
        ),
    ),
    Edit(
        VMALLOC,
        "attached when the pages are there",
        (
            in_function(
                "__vmalloc_area_node",
                r"(\n\treturn area->addr;)",
                r"\n\tif (scamem_attach(area))\n\t\tgoto fail;\n\1",
            ),
        ),
    ),
    Edit(
        VMALLOC,
        "freed by the last reference",
        (
            in_function(
                "vfree",
                r"(\n\tvm = remove_vm_area\(addr\);)",
                r"\n\tif (scamem_vfree(addr))\n\t\treturn;\n\1",
            ),
            in_function(
                "__vunmap",
                r"(\n\tvm_remove_mappings\()",
                r"\n\tif (deallocate_pages && scamem_vfree(addr))\n\t\treturn;\n\1",
            ),
        ),
    ),
    Edit(
        VMALLOC,
        "vm_struct with a count in it",
        (
            in_function("vfree", r"\tkfree\(vm\);", "\tscamem_free_area(vm);"),
            in_function("__vunmap", r"\tkfree\(area\);", "\tscamem_free_area(area);"),
        ),
    ),
    Edit(
        "mm/swap.c",
        "the last put",
        (
            at_start(
                "__folio_put",
                "if (scamem_page(&folio->page)) {\n\t\tscamem_last_put(&folio->page);"
                "\n\t\treturn;\n\t}",
            ),
        ),
    ),
    Edit(
        "mm/swap.c",
        "the last put of a batch",
        (
            in_function(
                "folios_put_refs",
                r"(folio_ref_sub_and_test\(folio, nr_refs\)\)\n\t\t\tcontinue;\n)",
                r"\1" + LAST_OF_BATCH,
            ),
            in_function(
                "release_pages",
                r"(folio_put_testzero\(folio\)\)\n\t\t\tcontinue;\n)",
                r"\1" + LAST_OF_BATCH,
            ),
        ),
    ),
    Edit(
        "mm/rmap.c",
        "mapped, not counted",
        (
            at_start("folio_add_file_rmap_ptes", SKIP_MAPS),
            at_start("page_add_file_rmap", SKIP_MAPS),
        ),
    ),
    Edit(
        "mm/rmap.c",
        "unmapped, not counted",
        (at_start("folio_remove_rmap_ptes", SKIP_MAPS), at_start("page_remove_rmap", SKIP_MAPS)),
    ),
    Edit(
        "include/linux/rmap.h",
        "forked, not counted",
        (at_start("__folio_dup_file_rmap", SKIP_MAPS), at_start("page_dup_file_rmap", SKIP_MAPS)),
    ),
    Edit(
        "mm/Makefile",
        "our files",
        (before_line(r"^obj-y \+= page-alloc.o", "obj-y += scamem.o scamem_lab.o"),),
    ),
)


def apply(tree: Path) -> None:
    """Make every edit in a kernel's source tree."""
    for edit in EDITS:
        edit.apply(tree)
