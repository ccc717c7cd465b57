"""Building networks narrower: cut before training, with no regard to what the cut units compute."""
