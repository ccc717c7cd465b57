"""What a run writes to its directory: plan, records, execution log."""
