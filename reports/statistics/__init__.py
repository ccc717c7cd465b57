"""Formulas on arrays; they know no arm and no study."""
