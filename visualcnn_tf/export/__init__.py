"""Explained models as files: SavedModels for servers, TensorFlow Lite files for devices."""
