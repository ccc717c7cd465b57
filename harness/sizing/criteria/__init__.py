"""What weights are worth: criteria that several sizing methods share, one file each."""
