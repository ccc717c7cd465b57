"""What an analysis found, as typed data."""
