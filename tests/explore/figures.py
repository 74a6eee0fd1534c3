"""What the explorers counted: printed at the end of a test run (conftest.py), and in the docs."""

LINES: list[str] = []


def say(line: str) -> None:
    """Store a line for the end of the run."""
    LINES.append(line)
