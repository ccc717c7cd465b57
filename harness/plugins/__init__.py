"""Strangers' code: files, what they offer, what a study names in a module, and what all of it consists of."""
