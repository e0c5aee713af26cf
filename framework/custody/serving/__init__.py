"""Serving predictions: the journal that keeps them, and the server that answers. Knows no model and no ledger."""
