"""Training: recipes, objectives, data, the loop."""
