"""The YAML specs: strict loading with places, schemas, cross references. Home of PyYAML and jsonschema."""
