"""The conformance suite that authors of plug-ins run: `harness check NAME` or a file."""

from harness.testing.architectures import check_architecture
from harness.testing.datasets import check_dataset
from harness.testing.findings import Finding
from harness.testing.methods import check_method
from harness.testing.objectives import check_objective

__all__ = ["Finding", "check_architecture", "check_dataset", "check_method", "check_objective"]
