"""Helpers that know nothing of heatmaps: argument checks, serialization, progress."""
