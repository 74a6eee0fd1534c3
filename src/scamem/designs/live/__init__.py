"""Two experiments on the running kernel, for root: harmless, bounded, cleaned up."""
