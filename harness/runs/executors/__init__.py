"""Where a plan runs: in this process, or on a Ray cluster."""
