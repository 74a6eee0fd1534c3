"""Contiguous views of objects in this process."""
