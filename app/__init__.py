"""The service: its settings, its slices and the place where they are put together."""

__version__ = "0.1.0"
