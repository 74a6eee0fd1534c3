"""The design's budgets, measured beside other libraries: `python -m benchmarks`."""
