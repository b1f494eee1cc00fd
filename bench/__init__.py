"""The benchmark harness: runs the paper's tables and reports for every cell whether the measured number agrees."""
