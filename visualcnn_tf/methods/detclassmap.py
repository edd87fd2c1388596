"""DetClassMap: where a detector's dense head finds a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import HeadMethod
from visualcnn_tf.ops.resize import resize


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class DetClassMap(HeadMethod):
    """Show where a detector finds the class of a box: the probabilities that its dense head computes at each position.

    At each position of each level of the head the largest probability of the class among the boxes that stand there;
    all levels are enlarged to the finest one, and the largest of them counts: ``DetClassProbabilityMap`` of
    https://github.com/openvinotoolkit/openvino_xai. The class is that of the target, a ``vc.targets.Box``:
    ``Box(class_index=7)`` is class 7. It needs no gradients and no layer: it taps the layer that makes the scores of
    the finest level. Costs next to nothing.

    Example:
        >>> import tensorflow as tf
        >>> fine, coarse = tf.constant([[[[[0.1, 0.7]]], [[[0.5, 0.2]]]]]), tf.constant([[[[[0.3, 0.4], [0.6, 0.3]]]]])
        >>> DetClassMap()([fine, coarse], tf.constant([[0]])).numpy().round(1).tolist()
        [[[0.6], [0.6]]]
    """

    name: ClassVar[str] = "detclassmap"
    fuses_signed: ClassVar[bool] = False

    def __call__(self, levels: Sequence[tf.Tensor], classes: tf.Tensor) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps of the probabilities ``(B, h, w, A, K)`` of each level, the finest first.

        Args:
            levels: the probabilities of K classes for A boxes at each position.
            classes: the class of each image, ``(B, 1)`` int32, -1 for none.
        """
        finest = levels[0].shape[1:3]
        maps = [resize(_of_class(level, classes), finest) for level in levels]
        return maps[0] if len(maps) == 1 else tf.reduce_max(tf.stack(maps), 0)


def _of_class(level: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Return the largest probability of a class at each position, zeros for a class of -1."""
    numbers = tf.cast(tf.range(level.shape[-1])[tf.newaxis] - classes, tf.float32)
    one_hot = tf.nn.relu(1.0 - tf.abs(numbers))
    found = tf.reduce_sum(level * tf.reshape(one_hot, [-1, 1, 1, 1, level.shape[-1]]), -1)
    # A maximum may skip NaN; this term is 0 for finite values and NaN for all others.
    mean = tf.reduce_mean(found, -1)
    return tf.reduce_max(found, -1) + (mean - mean)
