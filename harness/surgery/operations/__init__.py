"""What surgery does, one file an operation."""
