"""Anyone's trial table in: reading, checks, questions, joining, importers."""
