"""Whether one system is better than another: paired comparisons over the same images, and the best of a column."""
