"""The derivative of a class score with respect to feature maps, in operations that TensorFlow Lite has natively."""
