"""What everything runs on: memory, precision, environment, progress, files."""
