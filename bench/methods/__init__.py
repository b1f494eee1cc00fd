"""Who answers: one file per system."""
