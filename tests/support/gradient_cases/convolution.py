"""Cases of the rules for convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from support.gradient_cases.check import Case


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape)


def conv(shape: tuple[int, ...], kernel: tuple[int, ...], strides: Any = 1, padding: Any = "SAME", **more: Any) -> Case:
    """Of a signal, an image or a volume, as the rank of the shape has it."""
    options = {"strides": strides, "padding": padding, **more}
    operation = {3: tf.nn.conv1d, 4: tf.nn.conv2d, 5: tf.nn.conv3d}[len(shape)]
    if isinstance(options["strides"], int) and len(shape) == 5:
        options["strides"] = [1, *[strides] * 3, 1]
    if len(shape) == 3:
        options["stride"] = options.pop("strides")
    values = weights(*kernel)
    ops = ("Conv3D",) if len(shape) == 5 else ("Conv2D",)
    return Case(lambda x: operation(x, tf.constant(values, x.dtype), **options), [shape], ops, smooth=True)


def transposed(
    shape: tuple[int, ...], kernel: tuple[int, ...], size: Sequence[int], strides: Any, padding: Any
) -> Case:
    """To an output of the given size; batch and channels are taken from the input and the kernel."""
    values = weights(*kernel)
    ops = ("Conv3DBackpropInputV2",) if len(shape) == 5 else ("Conv2DBackpropInput",)

    def function(x: Any) -> Any:
        known, filters = x.shape[0], kernel[-2]
        output = tf.stack([tf.shape(x)[0], *size, filters]) if known is None else [known, *size, filters]
        return tf.nn.conv_transpose(x, tf.constant(values, x.dtype), output, strides, padding)

    return Case(function, [shape], ops, smooth=True)


def transposed_explicit(x: Any) -> Any:
    batch = tf.shape(x)[0] if x.shape[0] is None else x.shape[0]
    kernel = tf.constant(weights(3, 3, 2, 4), x.dtype)
    return tf.nn.conv2d_transpose(x, kernel, [batch, 6, 9, 2], [2, 2], [[0, 0], [1, 1], [0, 1], [0, 0]])


def depthwise(
    shape: tuple[int, ...], kernel: tuple[int, ...], stride: int = 1, padding: Any = "SAME", **more: Any
) -> Case:
    values = weights(*kernel)
    return Case(
        lambda x: tf.nn.depthwise_conv2d(x, tf.constant(values, x.dtype), [1, stride, stride, 1], padding, **more),
        [shape],
        ("DepthwiseConv2dNative",),
        smooth=True,
    )


EXPLICIT = [[0, 0], [2, 1], [0, 3], [0, 0]]

CASES: dict[str, Case] = {
    "same": conv((2, 6, 5, 3), (3, 3, 3, 4)),
    "same_even_kernel": conv((1, 5, 6, 3), (4, 2, 3, 4)),
    "valid": conv((2, 6, 5, 3), (3, 2, 3, 4), padding="VALID"),
    "explicit": conv((2, 6, 5, 3), (3, 3, 3, 4), padding=EXPLICIT),
    "explicit_wider_than_the_kernel": conv((1, 4, 5, 2), (2, 2, 2, 3), padding=[[0, 0], [3, 2], [4, 0], [0, 0]]),
    "pointwise": conv((2, 4, 5, 3), (1, 1, 3, 4)),
    "pointwise_strides": conv((2, 7, 6, 3), (1, 1, 3, 4), 2),
    "pointwise_unequal_strides": conv((1, 7, 8, 3), (1, 1, 3, 4), [3, 2], "VALID"),
    "pointwise_explicit": conv((1, 5, 4, 3), (1, 1, 3, 4), 2, EXPLICIT),
    "one_pixel": conv((2, 1, 1, 3), (1, 1, 3, 4)),
    "one_pixel_wide_kernel": conv((2, 1, 1, 3), (3, 3, 3, 4)),
    "kernel_larger_than_input": conv((2, 2, 3, 3), (5, 7, 3, 4)),
    "kernel_larger_than_input_strides": conv((2, 3, 2, 3), (7, 5, 3, 4), 2),
    "strides_odd": conv((2, 7, 5, 3), (3, 3, 3, 4), 2),
    "strides_even": conv((2, 8, 6, 3), (3, 3, 3, 4), 2),
    "strides_valid": conv((2, 8, 7, 3), (3, 3, 3, 4), 2, "VALID"),
    "strides_unequal": conv((2, 8, 7, 3), (3, 3, 3, 4), [1, 3]),
    "strides_unequal_valid": conv((1, 8, 9, 3), (2, 3, 3, 4), [3, 2], "VALID"),
    "strides_explicit": conv((2, 8, 7, 3), (3, 3, 3, 4), 2, EXPLICIT),
    "strides_unequal_explicit": conv((1, 9, 7, 3), (3, 2, 3, 4), [2, 3], EXPLICIT),
    "stride_larger_than_kernel": conv((2, 8, 9, 3), (2, 2, 3, 4), 3),
    "stride_larger_than_kernel_valid": conv((2, 9, 8, 3), (2, 1, 3, 4), 4, "VALID"),
    "dilations": conv((2, 7, 8, 3), (3, 3, 3, 4), dilations=2),
    "dilations_unequal_valid": conv((1, 9, 8, 3), (3, 2, 3, 4), padding="VALID", dilations=[2, 3]),
    "dilations_wider_than_input": conv((1, 3, 4, 3), (3, 3, 3, 4), dilations=4),
    "groups": conv((2, 5, 6, 6), (3, 3, 2, 9)),
    "groups_strides": conv((2, 6, 7, 4), (3, 3, 2, 6), 2),
    "groups_strides_valid": conv((1, 7, 8, 4), (2, 3, 2, 4), [2, 3], "VALID"),
    "groups_dilations": conv((1, 7, 6, 4), (3, 3, 2, 4), dilations=2),
    "groups_pointwise": conv((2, 3, 4, 4), (1, 1, 2, 6)),
    "groups_of_one": conv((2, 5, 6, 4), (3, 3, 1, 4)),
    "groups_of_one_multiplier": conv((2, 5, 6, 3), (3, 3, 1, 6), 2),
    "signal": conv((2, 9, 3), (3, 3, 4)),
    "signal_strides": conv((2, 9, 3), (4, 3, 4), 2, "VALID"),
    "signal_dilations": conv((1, 9, 3), (3, 3, 4), dilations=2),
    "signal_groups": conv((2, 9, 4), (3, 2, 6), 2),
    "volume": conv((2, 4, 5, 3, 2), (3, 2, 3, 2, 4)),
    "volume_valid": conv((1, 4, 5, 4, 2), (3, 2, 3, 2, 4), padding="VALID"),
    "volume_strides": conv((2, 5, 6, 4, 2), (3, 3, 3, 2, 4), 2),
    "volume_unequal_strides_valid": conv((1, 5, 6, 7, 2), (2, 3, 2, 2, 3), [1, 1, 2, 3, 1], "VALID"),
    "volume_pointwise": conv((2, 3, 4, 3, 2), (1, 1, 1, 2, 3)),
    "transposed": transposed((2, 3, 4, 4), (3, 3, 2, 4), (6, 8), 2, "SAME"),
    "transposed_odd": transposed((2, 3, 4, 4), (3, 3, 2, 4), (5, 7), 2, "SAME"),
    "transposed_valid": transposed((1, 3, 4, 4), (3, 2, 2, 4), (7, 11), [2, 3], "VALID"),
    "transposed_valid_with_a_rest": transposed((1, 3, 4, 4), (2, 2, 2, 4), (8, 9), [3, 2], "VALID"),
    "transposed_signal": transposed((2, 5, 4), (3, 2, 4), (10,), 2, "SAME"),
    "transposed_explicit": Case(transposed_explicit, [(2, 3, 4, 4)], ("Conv2DBackpropInput",), True, tflite=False),
    "transposed_volume": transposed((2, 2, 3, 2, 4), (3, 3, 3, 2, 4), (4, 6, 4), 2, "SAME"),
    "transposed_volume_valid": transposed((1, 2, 3, 2, 4), (2, 3, 2, 2, 4), (3, 7, 5), [1, 2, 3], "VALID"),
    "depthwise": depthwise((2, 5, 6, 3), (3, 3, 3, 1)),
    "depthwise_valid": depthwise((1, 5, 6, 3), (3, 2, 3, 1), padding="VALID"),
    "depthwise_explicit": depthwise((1, 5, 6, 3), (3, 3, 3, 1), padding=EXPLICIT),
    "depthwise_multiplier": depthwise((2, 5, 6, 3), (3, 3, 3, 2)),
    "depthwise_strides_odd": depthwise((2, 7, 5, 3), (3, 3, 3, 1), 2),
    "depthwise_strides_even": depthwise((2, 8, 6, 3), (3, 3, 3, 1), 2),
    "depthwise_even_kernel_strides_odd": depthwise((2, 7, 5, 3), (2, 2, 3, 1), 2),
    "depthwise_strides_valid": depthwise((1, 9, 8, 3), (3, 3, 3, 2), 2, "VALID"),
    "depthwise_wide_kernel_strides": depthwise((1, 7, 8, 3), (5, 5, 3, 1), 2),
    "depthwise_stride_larger_than_kernel": depthwise((1, 9, 8, 3), (2, 2, 3, 1), 3),
    "depthwise_kernel_larger_than_input": depthwise((2, 2, 3, 3), (5, 5, 3, 1)),
    "depthwise_dilations": depthwise((2, 7, 8, 3), (3, 3, 3, 1), dilations=[2, 2]),
    "depthwise_dilations_valid": depthwise((1, 9, 8, 3), (3, 3, 3, 2), padding="VALID", dilations=[2, 3]),
    "depthwise_one_pixel": depthwise((2, 1, 1, 3), (3, 3, 3, 1)),
}
