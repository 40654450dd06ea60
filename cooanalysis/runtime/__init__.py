"""What every part of the package runs on: signals and compiled functions."""
