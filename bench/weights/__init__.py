"""Weights as data: entries, resolution, and what ships with the project."""
