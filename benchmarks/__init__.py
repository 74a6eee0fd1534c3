"""The budgets of the design on this machine, beside what others do: `python -m benchmarks`."""
