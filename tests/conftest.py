"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets that HARNESS_DATA names; skips where it is unset."""
    named = os.environ.get("HARNESS_DATA")
    if not named:
        pytest.skip("HARNESS_DATA is not set: it names a folder with MNIST, FashionMNIST and cifar10-jpeg")
    return Path(named)
