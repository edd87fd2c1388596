"""What heatmaps cost, measured. ``python -m benchmarks.overhead`` prints every table again."""
