"""From fused maps to heatmaps: the layer ``FeatureMapFusion``, and heatmaps of several layers in one."""
