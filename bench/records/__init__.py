"""Records on disk, and the tables they make."""
