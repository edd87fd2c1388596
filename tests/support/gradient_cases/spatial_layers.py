"""Cases of whole Keras layers over signals, images and volumes, as they lower to operations."""

from __future__ import annotations

from keras import layers

from support.gradient_cases.check import Case
from support.gradient_cases.layers import case
from support.gradient_cases.pooling import with_ties

SIGNAL, IMAGE, VOLUME = (2, 9, 4), (2, 7, 6, 4), (1, 4, 5, 4, 2)

CASES: dict[str, Case] = {
    "conv_1d": case(lambda: layers.Conv1D(3, 3, strides=2, padding="same"), SIGNAL),
    "conv_1d_causal": case(lambda: layers.Conv1D(3, 3, padding="causal", dilation_rate=2), SIGNAL),
    "conv_2d": case(lambda: layers.Conv2D(3, (3, 2), strides=(2, 1), padding="same", activation="relu"), IMAGE),
    "conv_2d_dilations": case(lambda: layers.Conv2D(3, 3, dilation_rate=2), IMAGE),
    "conv_2d_depthwise_as_groups": case(lambda: layers.Conv2D(8, 3, groups=4, strides=2, padding="same"), IMAGE),
    "conv_3d": case(lambda: layers.Conv3D(3, 3, strides=2, padding="same"), VOLUME),
    "conv_1d_transpose": case(lambda: layers.Conv1DTranspose(3, 4, strides=2, padding="same"), SIGNAL),
    "conv_2d_transpose": case(lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same"), IMAGE),
    "conv_2d_transpose_valid": case(lambda: layers.Conv2DTranspose(3, 2, strides=3, output_padding=1), IMAGE),
    "conv_3d_transpose": case(lambda: layers.Conv3DTranspose(3, 2, strides=2), VOLUME),
    "depthwise_1d": case(lambda: layers.DepthwiseConv1D(3, strides=2, padding="same"), SIGNAL),
    "depthwise_2d": case(lambda: layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2), IMAGE),
    "depthwise_2d_dilations": case(lambda: layers.DepthwiseConv2D(3, dilation_rate=2, padding="same"), IMAGE),
    "separable_1d": case(lambda: layers.SeparableConv1D(3, 3, padding="same"), SIGNAL),
    "separable_2d": case(lambda: layers.SeparableConv2D(3, 3, strides=2), IMAGE),
    "max_pooling_1d": case(lambda: layers.MaxPooling1D(3, 2, "same"), SIGNAL, draw=with_ties),
    "max_pooling_2d": case(lambda: layers.MaxPooling2D(3, 2, "same"), IMAGE, draw=with_ties),
    "average_pooling_1d": case(lambda: layers.AveragePooling1D(2), SIGNAL),
    "average_pooling_2d": case(lambda: layers.AveragePooling2D(3, 1, "same"), IMAGE),
    "max_pooling_3d": case(lambda: layers.MaxPooling3D(2, padding="same"), VOLUME, tflite=False),
    "average_pooling_3d": case(lambda: layers.AveragePooling3D(3, 2), VOLUME, tflite=False),
    "global_max_pooling_2d": case(layers.GlobalMaxPooling2D, IMAGE),
    "global_average_pooling_3d": case(layers.GlobalAveragePooling3D, VOLUME),
    "adaptive_average_pooling_1d": case(lambda: layers.AdaptiveAveragePooling1D(4), SIGNAL),
    "adaptive_average_pooling_2d": case(lambda: layers.AdaptiveAveragePooling2D((3, 4)), IMAGE),
    "adaptive_max_pooling_2d": case(lambda: layers.AdaptiveMaxPooling2D((3, 4)), IMAGE),
    "upsampling_1d": case(lambda: layers.UpSampling1D(2), SIGNAL),
    "upsampling_2d_nearest": case(lambda: layers.UpSampling2D(2), IMAGE),
    "upsampling_2d_bilinear": case(lambda: layers.UpSampling2D((2, 3), interpolation="bilinear"), IMAGE),
    "upsampling_3d": case(lambda: layers.UpSampling3D(2), (1, 2, 3, 2, 2)),
    "resizing": case(lambda: layers.Resizing(4, 11), IMAGE),
    "resizing_nearest": case(lambda: layers.Resizing(4, 11, interpolation="nearest"), IMAGE),
}
