"""The conformance suite that authors of methods and architectures run: `harness check NAME` or a file."""

from harness.testing.architectures import check_architecture
from harness.testing.findings import Finding
from harness.testing.methods import check_method

__all__ = ["Finding", "check_architecture", "check_method"]
