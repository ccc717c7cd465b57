"""Data sets as tensors: loaders, one validation split, a disk cache."""
