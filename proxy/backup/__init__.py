"""A home kept safe: a folder with a consistent copy of the database, the files beside it, and a manifest of hashes."""
