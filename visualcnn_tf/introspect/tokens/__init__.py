"""Tokens of transformers: which of them stand for which part of the image, and how they become maps."""
