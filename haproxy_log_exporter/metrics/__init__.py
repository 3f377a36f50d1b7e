"""Counts: what is counted, where it gathers, and how it is shown."""
