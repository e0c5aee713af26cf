"""Decisions: pure functions over domain values. No I/O, no clock, no foreign library but numpy."""
