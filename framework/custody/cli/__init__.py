"""The command line: the only layer that prints, reads a terminal or the environment."""
