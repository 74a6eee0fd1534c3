"""What an arena looks like: nothing here holds or changes anything."""
