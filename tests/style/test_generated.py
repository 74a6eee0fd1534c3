"""What is written from layout.py says what layout.py says."""

import runpy
from pathlib import Path

import pytest

GENERATOR = Path(__file__).resolve().parent.parent.parent / "tools" / "generate_layout.py"


def test_fresh() -> None:
    stale = runpy.run_path(str(GENERATOR), run_name="test")["stale"]()
    assert not stale, f"run `python tools/generate_layout.py`: {stale}"


def test_constants_are_64_bits_wide(tmp_path: Path) -> None:
    layout = tmp_path / "layout.py"
    layout.write_text("# --- bits ---\nFLAG = 0x8000000000000000  # the highest\n_HIDDEN = 1\n")
    tool = runpy.run_path(str(GENERATOR), run_name="test")
    header = tool["header"](layout)
    assert "#define SCAMEM_LAYOUT_FLAG 0x8000000000000000ULL" in header
    assert 'const unsigned long long FLAG "SCAMEM_LAYOUT_FLAG"' in header
    assert "HIDDEN" not in header
    assert "| `FLAG` | 0x8000000000000000 | the highest |" in tool["page"](layout)


@pytest.mark.parametrize("value", ["-1", "1 << 64", "'text'", "1.5"])
def test_refuses_what_no_word_holds(tmp_path: Path, value: str) -> None:
    layout = tmp_path / "layout.py"
    layout.write_text(f"WRONG = {value}\n")
    tool = runpy.run_path(str(GENERATOR), run_name="test")
    with pytest.raises(ValueError, match="WRONG"):
        tool["header"](layout)


def test_header_is_left_alone_when_it_is_fresh(tmp_path: Path) -> None:
    """Its time decides what is compiled again."""
    layout = tmp_path / "layout.py"
    layout.write_text("ONE = 1\n")
    tool = runpy.run_path(str(GENERATOR), run_name="test")
    assert tool["write_header"](layout) is True
    assert tool["write_header"](layout) is False
