"""Driver and worker of a run: what is dealt to whom, and how a trial is run to its record."""
