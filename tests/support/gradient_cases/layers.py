"""Cases of whole Keras layers, as they lower to operations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from support.gradient_cases.check import Case

IMAGE = (2, 4, 4, 6)
SIGNAL = (2, 5, 6)


def case(build: Callable[[], Any], *shapes: tuple[int, ...], as_list: bool = False, **more: Any) -> Case:
    """A layer with random weights, which are constants in the graph: variables of an export are frozen."""

    @functools.cache
    def made() -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
        layer, rng = build(), np.random.default_rng(3)
        inputs = [keras.Input(shape[1:]) for shape in shapes]
        layer(inputs) if as_list else layer(*inputs)
        trained = [rng.normal(scale=0.5, size=variable.shape) for variable in layer.trainable_variables]
        # Variances are among these.
        given = [rng.uniform(0.5, 1.5, variable.shape) for variable in layer.non_trainable_variables]
        return layer, *([array.astype("float32") for array in arrays] for arrays in (trained, given))

    def function(*x: Any) -> Any:
        with tf.init_scope():
            layer, *weights = made()
        return layer.stateless_call(*weights, *([list(x)] if as_list else x))[0]

    return Case(function, shapes, (), **more)


CASES: dict[str, Case] = {
    "layer_normalization": case(layers.LayerNormalization, IMAGE),
    "layer_normalization_of_several_axes": case(lambda: layers.LayerNormalization([2, 3]), IMAGE),
    "group_normalization": case(lambda: layers.GroupNormalization(3), IMAGE),
    "batch_normalization": case(layers.BatchNormalization, IMAGE),
    "unit_normalization": case(layers.UnitNormalization, IMAGE),
    "rms_normalization": case(layers.RMSNormalization, IMAGE),
    "multi_head_attention": case(lambda: layers.MultiHeadAttention(2, 3), SIGNAL, SIGNAL),
    "grouped_query_attention": case(lambda: layers.GroupQueryAttention(4, 4, 2), SIGNAL, SIGNAL),
    "einsum_dense": case(lambda: layers.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d"), SIGNAL),
    "einsum_dense_with_ellipsis": case(lambda: layers.EinsumDense("...c,cd->...d", 4), SIGNAL),
    "dense": case(lambda: layers.Dense(3, "tanh"), IMAGE),
    "separable_convolution": case(lambda: layers.SeparableConv2D(3, 3, padding="same"), IMAGE),
    "grouped_convolution": case(lambda: layers.Conv2D(4, 3, groups=2), IMAGE),
    "convolution_of_a_signal": case(lambda: layers.Conv1D(4, 3, dilation_rate=2), SIGNAL),
    "prelu": case(lambda: layers.PReLU(shared_axes=[1, 2]), IMAGE),
    "relu": case(lambda: layers.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), IMAGE),
    "upsampling": case(lambda: layers.UpSampling2D((2, 3)), IMAGE),
    "cropping": case(lambda: layers.Cropping2D(((1, 0), (1, 2))), IMAGE),
    "zero_padding": case(lambda: layers.ZeroPadding2D(((1, 0), (1, 2))), IMAGE),
    "repeat_vector": case(lambda: layers.RepeatVector(3), (2, 5)),
    "flatten": case(layers.Flatten, IMAGE),
    "permute": case(lambda: layers.Permute((3, 1, 2)), IMAGE),
    "dot": case(lambda: layers.Dot(2, normalize=True), SIGNAL, SIGNAL, as_list=True),
}
