"""Engines that run a graph: Prefect's under a supervised server of our own, and an inline one; Prefect's only home."""
