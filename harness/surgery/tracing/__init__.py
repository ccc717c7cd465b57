"""What belongs together in a network, found by following marks through it."""
