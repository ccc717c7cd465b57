"""The command `harness`; the only part of the package that prints."""
