"""The page and its files, from typed results."""
