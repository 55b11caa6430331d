"""Proof that native answers and writes equal the legacy daemon's. README.md says how to use it."""
