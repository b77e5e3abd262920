"""The version of this package, here so that nothing has to be looked up at import."""

__version__ = "0.1.0"
