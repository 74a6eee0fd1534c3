"""The arena: its objects and its life cycle (default, join, fork, exit)."""
