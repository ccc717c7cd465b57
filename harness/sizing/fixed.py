"""`Fixed` where plug-in authors have always found it."""

from harness.sizing.methods.fixed import Fixed

__all__ = ["Fixed"]
