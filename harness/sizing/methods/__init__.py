"""The shipped sizing methods, one file each."""
