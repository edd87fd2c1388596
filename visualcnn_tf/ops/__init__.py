"""Pure functions on tensors: resize, normalize, layout; what is there for speed alone stands in ``ops.fast``."""
