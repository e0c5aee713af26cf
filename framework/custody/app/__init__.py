"""Use cases, one a file: each composes core and adapters and returns values; nothing here prints."""
