"""Whether one system is better than another over the same images, the best of a column, and whether its order holds."""
