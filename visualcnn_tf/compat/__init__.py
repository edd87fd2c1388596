"""The API of the earlier package ``visualcnn``."""
