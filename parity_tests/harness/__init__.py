"""The parity harness: `cli.py` is its front; README.md of the folder above says how its parts fit."""
