"""Pictures from heatmaps as TensorFlow operations: colors, overlays, blur."""
