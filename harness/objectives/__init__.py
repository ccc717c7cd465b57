"""What networks learn: a loss to descend and a score to choose and judge by, one file a task."""
