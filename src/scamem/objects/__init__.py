"""Scamem objects as Python sees them: references, pins, and the lookups from a page."""
