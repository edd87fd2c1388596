"""What TensorFlow needs to read maps and to write heatmaps on this machine, whatever is done with them.

The floor of :mod:`benchmarks.floor` is reckoned from the speed of copying. This one runs: XLA sums each map over its
places and looks for the largest there, the quickest ways to read that were found, and each heatmap is filled with one
number. A method that has to read its maps twice, by TensorFlow's operations, can hardly take less.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

import visualcnn_tf as vc

READS = "reads alone"


def read_once(activations: tf.Tensor) -> tf.Tensor:
    """``(B, h, w)`` of one number an image, for which its map is read once."""
    space = list(range(1, activations.shape.rank - 1))
    return _spread(tf.reduce_sum(activations, space), activations)


def read_twice(activations: tf.Tensor) -> tf.Tensor:
    """``(B, h, w)`` of one number an image, for which its map is read twice."""
    space = list(range(1, activations.shape.rank - 1))
    return _spread(tf.reduce_sum(activations, space) + tf.reduce_max(activations, space), activations)


def _spread(found: tf.Tensor, activations: tf.Tensor) -> tf.Tensor:
    number = tf.reshape(tf.reduce_mean(found, -1), [-1, *[1] * (activations.shape.rank - 2)])
    return tf.broadcast_to(number, tf.shape(activations)[:-1])


class Reads:
    """A model whose maps are read and whose heatmaps are filled, to be called as an explained one.

    Args:
        model: the bare model.
        layers: what is tapped.
        dtype: of the heatmaps, which are as large as the input.
        reads: how often each map is read, once or twice.
        **options: ``after_activation`` and ``jit_compile`` of ``attach``.
    """

    def __init__(self, model: Any, layers: Any, dtype: str, reads: int = 2, **options: Any) -> None:
        options = {"size": None, "normalize": None, "jit_compile": "fusion", **options}
        method = read_once if reads == 1 else read_twice
        self.read = vc.attach(model, layers, method=method, **options)
        self.dtype = dtype

    def __call__(self, images: Any, training: bool = False) -> dict[str, Any]:
        """What the model predicts, and the filled heatmaps."""
        outputs = dict(self.read(images, training=training))
        shape = tf.shape(images)[:-1]
        for tap in self.read.taps:
            # Of a number of the map: TensorFlow makes a constant of what hangs on no input, before it is timed.
            outputs[tap.key] = tf.fill(shape, tf.saturate_cast(tf.reshape(outputs[tap.key], [-1])[0], self.dtype))
        return outputs
