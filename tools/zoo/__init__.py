"""Many architectures in every way that they are explained and exported: ``python -m tools.zoo``."""
