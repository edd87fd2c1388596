"""Pictures made of heatmaps, as TensorFlow operations: colors, overlays and the blurmap.

Everything here works eagerly, inside ``tf.function`` (also with ``jit_compile=True``) and in a TFLite file without
Select operations.
"""
