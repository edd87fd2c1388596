"""Gradients of a score with respect to feature maps, computed by operations that TensorFlow Lite has."""
