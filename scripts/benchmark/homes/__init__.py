"""Homes of a thousand to some hundred thousand memories: made from a seed, kept in a cache outside the repository."""
