"""MLflow: its store, the mirrors of tables and of training."""
