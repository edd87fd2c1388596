"""Which part of an input each tensor of a graph shows: crops, padding and reshapes followed operation by operation."""
