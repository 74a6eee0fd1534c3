"""What DESIGN's budgets look like on this machine, beside what others do: `python -m benchmarks`."""
