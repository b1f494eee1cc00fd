"""From a request to records: planning, the runner, provenance."""
