"""Downloads and archives, for data sets and weights."""
