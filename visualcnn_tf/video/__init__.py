"""Films overlaid with heatmaps."""
