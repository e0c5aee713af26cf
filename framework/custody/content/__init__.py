"""Stored content: bytes by digest, tables, their logical digests and profiles, and artifacts of models."""
