"""Explained models as files: SavedModels for TensorFlow Serving."""
