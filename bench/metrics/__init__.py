"""How a number is made: one file per metric."""
