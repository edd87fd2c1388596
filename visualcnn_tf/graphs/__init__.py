"""TensorFlow graphs without Keras code as Keras models: SavedModels and frozen graphs."""
