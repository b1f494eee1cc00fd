"""The benchmark harness: runs the paper's tables and says of every cell whether the number holds."""
