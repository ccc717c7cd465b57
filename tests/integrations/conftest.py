"""Other people's tools, and networks of theirs: here nothing is fetched, and nobody is told of the tests."""

import os

# Read when the tools are imported, so before any test module does so.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
