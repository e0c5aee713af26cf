"""What works on data: connectors, ingest, splits, training, metrics and checks, one small module each."""
