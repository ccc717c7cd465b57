"""Method against baseline: evidence, families of comparisons, contrasts, verdicts."""
