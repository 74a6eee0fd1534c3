"""Procedures: several transactions with waits between them: enter, wait, let go, reap, fork."""
