"""custody: the chain of custody of machine-learning models, in Git."""

__version__ = "0.1.0"
