"""Explain real networks that packages ship: ``python -m tools.real``."""
