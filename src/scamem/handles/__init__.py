"""Names, put and get, and pickled handles."""
