"""The arm: its trials as arrays, its tracks, its costs."""
