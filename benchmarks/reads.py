"""Time only the reading of feature maps and the writing of heatmaps, by TensorFlow on this machine.

The floor of :mod:`benchmarks.floor` is computed from the speed of copying. This one is run: XLA sums each feature map
over its positions and takes the maximum, the fastest ways to read that were found, and each heatmap is filled with one
number. A method that reads its maps twice, in TensorFlow operations, can hardly take less time.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

import visualcnn_tf as vc

READS = "reading only"


def read_once(activations: tf.Tensor) -> tf.Tensor:
    """Return ``(B, h, w)`` filled with one number for each image, for which its map is read once."""
    space = list(range(1, activations.shape.rank - 1))
    return _filled(tf.reduce_sum(activations, space), activations)


def read_twice(activations: tf.Tensor) -> tf.Tensor:
    """Return ``(B, h, w)`` filled with one number for each image, for which its map is read twice."""
    space = list(range(1, activations.shape.rank - 1))
    return _filled(tf.reduce_sum(activations, space) + tf.reduce_max(activations, space), activations)


def _filled(found: tf.Tensor, activations: tf.Tensor) -> tf.Tensor:
    number = tf.reshape(tf.reduce_mean(found, -1), [-1, *[1] * (activations.shape.rank - 2)])
    return tf.broadcast_to(number, tf.shape(activations)[:-1])


class Reads:
    """A model whose feature maps are read and whose heatmaps are filled; it is called like an explained model.

    Args:
        model: The bare model.
        layers: What ``attach`` gets as ``layers``.
        dtype: The dtype of the heatmaps, which are as large as the input.
        reads: How often each map is read, once or twice.
        **options: ``after_activation`` and ``jit_compile`` of ``attach``.
    """

    def __init__(self, model: Any, layers: Any, dtype: str, reads: int = 2, **options: Any) -> None:
        options = {"size": None, "normalize": None, "jit_compile": True, **options}
        method = read_once if reads == 1 else read_twice
        self.read = vc.attach(model, layers, method=method, **options)
        self.dtype = dtype

    def __call__(self, images: Any, training: bool = False) -> dict[str, Any]:
        """Return the predictions and the filled heatmaps."""
        outputs = dict(self.read(images, training=training))
        shape = tf.shape(images)[:-1]
        for tap in self.read.taps:
            # Filled with a number of the map: TensorFlow would fold what depends on no input into a constant.
            outputs[tap.key] = tf.fill(shape, tf.saturate_cast(tf.reshape(outputs[tap.key], [-1])[0], self.dtype))
        return outputs
