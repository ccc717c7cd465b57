"""Torch-Pruning's magnitude pruner as a method of Sizing Harness."""
