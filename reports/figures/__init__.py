"""The report's figures: one style, and colour, marker and line style always together."""
