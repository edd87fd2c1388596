"""How a photo becomes what a model's image input takes: which values, and how it is fitted to the input's size."""
