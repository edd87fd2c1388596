"""Heatmaps over films."""
