"""One module a verb: its options, and the call of the use case. Imported only for the verb that was typed."""
