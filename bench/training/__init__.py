"""What the harness adds to hcflow.train."""
