"""Decoded data on disk, and how a source is told to have changed."""
