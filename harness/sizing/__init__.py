"""Sizing methods, one file each; `base` holds their contract."""
