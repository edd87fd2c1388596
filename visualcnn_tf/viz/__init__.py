"""Figures and windows, drawn with Matplotlib."""
