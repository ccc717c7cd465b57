"""Families of networks given by the sizes of their layers."""
