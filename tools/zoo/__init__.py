"""Explain and export many architectures in every way: ``python -m tools.zoo``."""
