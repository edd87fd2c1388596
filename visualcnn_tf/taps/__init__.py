"""Which tensors to read: select them by name, pattern or preset, and capture them while the model runs."""
