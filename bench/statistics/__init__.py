"""Whether one system is better than another: paired comparisons over the same images, the best of a column, its order."""
