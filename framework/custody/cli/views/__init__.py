"""Pure functions from values to text or JSON. They print nothing; `cli/output.py` decides on colour and escapes."""
