"""The conformance suite that authors of methods and architectures run."""
