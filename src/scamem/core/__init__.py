"""The arena's state: structures, transactions and checks; compiled at install."""
