"""Search spaces where plug-in authors have always found them."""

from harness.search.space import Choice, Domain, Float, Int, Scalar, Space

__all__ = ["Choice", "Domain", "Float", "Int", "Scalar", "Space"]
