"""Edits of networks in training: units, weights and blocks, with the optimizer's state."""
