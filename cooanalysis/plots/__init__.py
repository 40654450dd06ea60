"""Figures of analyses and comparisons: pure functions from plain records."""
