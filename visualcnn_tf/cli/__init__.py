"""The command ``visualcnn``."""
