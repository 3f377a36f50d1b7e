"""The configuration file and other descriptions in YAML: texts in, what they say and where out."""
