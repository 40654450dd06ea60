"""Infrastructure: memory, precision, environment, progress, files."""
