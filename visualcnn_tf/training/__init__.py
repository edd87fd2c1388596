"""Heatmaps while a model trains."""
