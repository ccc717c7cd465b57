"""Judges results: takes a trial table, whoever made it, and trains nothing."""
