"""What the size of a network is, and what a size costs."""
