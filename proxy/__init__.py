"""The front door: every request of a Signet client enters here. `README.md` in this folder tells the way."""

__version__ = "0.1.0"
