"""What the commands show, one file a subject."""
