"""Class-discriminative fusions: activations ``A`` and gradients ``G`` of a class score to one map per image.

``A`` and ``G`` are ``(B, h, w, C)``, the map is ``(B, h, w)``.
What speaks for the class is positive, what speaks against it negative; whoever calls them takes the ReLU. Sums over
places are taken in each image for itself. Every function also takes signals ``(B, t, C)`` and volumes
``(B, d, h, w, C)``, expects float32, and uses only ops that XLA compiles and TensorFlow Lite has natively.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from visualcnn_tf.methods.activation import eigen
from visualcnn_tf.ops.fast.means import spatial_mean

# A sum this much smaller than the sum of magnitudes is rounding alone.
_CANCELED = 1e-6


def gradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM: ``Σ_k mean_ij(G_k)·A_k``: each channel weighs as much as the class depends on it.

    Selvaraju et al., arXiv 1610.02391, eq. 1 and 2.
    """
    return _weighted(activations, _mean_over_places(gradients))


def gradcam_plus_plus(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM++: ``Σ_k w_k·A_k`` with ``w_k = Σ_ij α·ReLU(G_k)`` and ``α = G² / (2G² + G³·Σ_ij A_k)``.

    Chattopadhay et al., arXiv 1710.11063, eq. 13 and 19, where the derivatives of ``exp(logit)`` reduce to powers of
    the logit's gradient. ``α`` is 0 where its denominator is. It holds several objects of one class better together
    than Grad-CAM. (tf-keras-vis divides ``α`` by its sum over the image, which the paper does not.)
    """
    # α without G² above and below the line: the squares and cubes of small gradients are 0 in float32.
    denominator = 2.0 + gradients * tf.reduce_sum(activations, _space(activations), keepdims=True)
    weights = tf.reduce_sum(_ratio(tf.nn.relu(gradients), denominator), _space(gradients), keepdims=True)
    return _weighted(activations, weights)


def hirescam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """HiResCAM: ``Σ_k G_k ⊙ A_k``: faithful place by place where the head is linear in the map.

    Draelos and Carin, arXiv 2011.08891, eq. 3.
    """
    return tf.reduce_sum(gradients * activations, -1)


def layercam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """LayerCAM: ``Σ_k ReLU(G_k) ⊙ A_k``: sharp also at early layers.

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps", IEEE TIP 2021, eq. 5 and 6.
    """
    return tf.reduce_sum(tf.nn.relu(gradients) * activations, -1)


def xgradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """XGrad-CAM: ``Σ_k w_k·A_k`` with ``w_k = Σ_ij G_k·A_k / Σ_ij A_k``, 0 for a channel that sums to 0.

    Fu et al., arXiv 2008.02312, eq. 8: the weights that keep sensitivity and conservation best.
    """
    space = _space(activations)
    products = tf.reduce_sum(gradients * activations, space, keepdims=True)
    sums = tf.reduce_sum(activations, space, keepdims=True)
    # What is left of numbers that cancel out is rounding, and no weight.
    usable = tf.abs(sums) > _CANCELED * tf.reduce_sum(tf.abs(activations), space, keepdims=True)
    return _weighted(activations, _ratio(products, tf.where(usable, sums, tf.zeros_like(sums))))


def eigengradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Eigen-Grad-CAM: the projection of ``G ⊙ A`` on its first right singular vector, see ``eigen``.

    Eigen-CAM is Muhammad and Yeasin's, arXiv 2008.00299; the variant with gradients comes from pytorch-grad-cam.
    """
    return eigen(gradients * activations)


def _mean_over_places(gradients: tf.Tensor) -> tf.Tensor:
    """``(B, 1, 1, C)``; without a look at the places where one gradient was spread over them by a product with ones.

    So the walk back comes through a global pooling, and most networks end in one.
    """
    operation = getattr(gradients, "op", None)  # eager tensors have none
    if operation is not None and operation.type == "Mul":
        one, ones = operation.inputs
        spread = tf.get_static_value(ones)
        if spread is not None and np.all(spread == 1.0) and one.shape[1:-1].num_elements() == 1:
            return one
    return spatial_mean(gradients)


def _weighted(activations: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """``Σ_k w_k·A_k`` for weights ``(B, 1, 1, C)``."""
    return tf.reduce_sum(weights * activations, -1)


def _ratio(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
    """The quotient, 0 where the denominator is."""
    # TensorFlow Lite has no division without NaN.
    usable = tf.not_equal(denominator, 0.0)
    safe = tf.where(usable, denominator, tf.ones_like(denominator))
    return tf.where(usable, numerator / safe, tf.zeros_like(numerator))


def _space(maps: tf.Tensor) -> list[int]:
    return list(range(1, maps.shape.rank - 1))
