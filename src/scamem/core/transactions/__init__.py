"""Transactions: each takes the arena from one sound state to the next."""
