"""Serinus: progressive delivery for the Kuma service mesh."""

__version__ = "0.1.0"
