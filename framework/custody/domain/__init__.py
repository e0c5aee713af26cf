"""Frozen values and ports: what every other layer speaks of. Imports the standard library alone."""
