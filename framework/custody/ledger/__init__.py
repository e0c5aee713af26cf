"""The append-only ledger on its own branch: format, writer, reader, index, intents."""
