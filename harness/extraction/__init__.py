"""Takes one network out of a run, to be used without it. Importing it loads no torch."""

from harness.extraction.errors import ExtractionError
from harness.extraction.loading import load

__all__ = ["ExtractionError", "load"]
