"""Seeded data directories, built by code: the same base time gives the same content. `build.py` is the way in."""
