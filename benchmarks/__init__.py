"""Measure what heatmaps cost: ``python -m benchmarks`` runs every benchmark and writes its report."""
