"""What is asked: the tables as data, and their typed reading."""
