"""Explanations by sampling: a model is run on many masked images, outside of the graph."""
