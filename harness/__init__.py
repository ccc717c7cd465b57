"""Runs comparisons of ways to choose a neural network's size. Importing it loads no torch, Ray or Optuna."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("sizing-harness")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
