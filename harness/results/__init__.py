"""What is read back out of run directories: trial tables, joined runs, certificates."""
