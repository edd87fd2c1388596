"""Cases of the rules for reductions, matrix products and normalization."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from support.gradient_cases.check import Case
from support.gradient_cases.elementwise import with_ties

S = (2, 3, 4)
SHORT = (2, 4, 5)


def weights(x: tf.Tensor, *shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(5).normal(size=shape), x.dtype)


def case(function: Any, *ops: str, shapes: Any = (S,), **options: Any) -> Case:
    return Case(lambda *x: function(*map(tf.sin, x)), shapes, ops, **{"smooth": True} | options)


def einsum(equation: str, *shapes: tuple[int, ...]) -> Case:
    return case(lambda *x: tf.einsum(equation, *x), "Einsum", shapes=shapes)


def batch_norm(x: tf.Tensor, version: int, data_format: str = "NHWC", of_the_batch: bool = False) -> tf.Tensor:
    operation = getattr(tf.raw_ops, f"FusedBatchNorm{f'V{version}' if version > 1 else ''}")
    statistics = [tf.constant(np.random.default_rng(i).uniform(0.5, 2.0, 4), tf.float32) for i in range(4)]
    names = ("scale", "offset", "mean", "variance")
    values = dict(zip(names, statistics, strict=True))
    if of_the_batch:
        values |= dict.fromkeys(("mean", "variance"), tf.zeros([0]))
    return operation(x=x, **values, is_training=of_the_batch, data_format=data_format, epsilon=0.1)[0]


def layer_norm_of_keras_2(x: tf.Tensor) -> tf.Tensor:
    """Each token is a channel of a batch of one, whose statistics normalize it."""
    tokens, features = x.shape[1:]
    count = tf.shape(x)[0] * tokens
    ones, zeros, none = tf.ones([count]), tf.zeros([count]), tf.zeros([0])
    columns = tf.reshape(x, [1, count, features, 1])
    names = ("x", "scale", "offset", "mean", "variance")
    values = dict(zip(names, (columns, ones, zeros, none, none), strict=True))
    y = tf.raw_ops.FusedBatchNormV3(**values, data_format="NCHW", epsilon=0.1)[0]
    return tf.reshape(y, tf.shape(x)) * weights(x, features)


REDUCTIONS: dict[str, Case] = {
    "sum": case(lambda x: tf.reduce_sum(x, 1), "Sum"),
    "sum_keeping_axes": case(lambda x: tf.reduce_sum(x, [-1, 1], keepdims=True), "Sum"),
    "sum_of_all": case(lambda x: tf.reduce_sum(x), "Sum", shapes=[(2, 3)]),
    "sum_over_the_batch": case(lambda x: tf.reduce_sum(x, [0, 2]), "Sum"),
    "mean": case(lambda x: tf.reduce_mean(x, [1, 2]), "Mean"),
    "mean_keeping_axes": case(lambda x: tf.reduce_mean(x, -1, keepdims=True), "Mean"),
    "mean_over_the_batch": case(lambda x: tf.reduce_mean(x, [0, 1]), "Mean"),
    "max": case(lambda x: tf.reduce_max(x, [1, 2]), "Max"),
    "max_with_ties": case(lambda x: tf.reduce_max(x, 1), "Max", draw=with_ties, smooth=False),
    "max_keeping_axes": case(lambda x: tf.reduce_max(x, 2, keepdims=True), "Max", draw=with_ties, smooth=False),
    "min": case(lambda x: tf.reduce_min(x, [1, 2]), "Min"),
    "min_with_ties": case(lambda x: tf.reduce_min(x, 1), "Min", draw=with_ties, smooth=False),
    "product": case(lambda x: tf.reduce_prod(x, 1), "Prod"),
    "product_with_zeros": case(lambda x: tf.reduce_prod(x, -1, keepdims=True), "Prod", draw=with_ties),
    "l2_loss": case(tf.nn.l2_loss, "L2Loss"),
    "cumulative_sum": case(lambda x: tf.cumsum(x, 1), "Cumsum"),
    "cumulative_sum_backwards": case(lambda x: tf.cumsum(x, 2, exclusive=True, reverse=True), "Cumsum"),
}

PRODUCTS: dict[str, Case] = {
    "matmul": case(lambda x: tf.matmul(x, weights(x, 4, 5)), "MatMul", shapes=[(2, 4)]),
    **{
        f"matmul_{int(ta)}{int(tb)}": case(
            lambda a, b, ta=ta, tb=tb: tf.matmul(a, b, transpose_a=ta, transpose_b=tb),
            "MatMul",
            shapes=[(4, 3) if ta else (3, 4), (5, 4) if tb else (4, 5)],
        )
        for ta in (False, True)
        for tb in (False, True)
    },
    **{
        f"batch_matmul_{int(ta)}{int(tb)}": case(
            lambda a, b, ta=ta, tb=tb: tf.matmul(a, b, adjoint_a=ta, adjoint_b=tb),
            "BatchMatMulV2",
            shapes=[(2, 4, 3) if ta else (2, 3, 4), (2, 5, 4) if tb else (2, 4, 5)],
        )
        for ta in (False, True)
        for tb in (False, True)
    },
    "batch_matmul_broadcast": case(tf.matmul, "BatchMatMulV2", shapes=[(2, 1, 3, 4), (2, 3, 4, 5)]),
    "batch_matmul_of_lower_rank": case(lambda x: tf.matmul(weights(x, 5, 3), x), "BatchMatMulV2"),
    "batch_matmul_by_matrix": case(lambda x: tf.matmul(x, weights(x, 4, 5)), "BatchMatMulV2", shapes=[(2, 1, 3, 4)]),
    "batch_matmul_by_transposed_matrix": case(
        lambda x: tf.matmul(x, weights(x, 5, 4), transpose_b=True), "BatchMatMulV2"
    ),
    "batch_matmul_v1": case(lambda a, b: tf.raw_ops.BatchMatMul(x=a, y=b), "BatchMatMul", shapes=[S, SHORT]),
    "batch_matmul_v3": case(
        lambda a, b: tf.raw_ops.BatchMatMulV3(x=a, y=b, Tout=a.dtype), "BatchMatMulV3", shapes=[S, SHORT]
    ),
    "einsum_dense": case(lambda x: tf.einsum("abc,cde->abde", x, weights(x, 4, 2, 3)), "Einsum"),
    "einsum_with_ellipsis": case(lambda x: tf.einsum("...c,cd->...d", x, weights(x, 4, 5)), "Einsum"),
    "einsum_of_scores": einsum("BTNH,BSNH->BNTS", (2, 3, 2, 4), (2, 5, 2, 4)),
    "einsum_of_values": einsum("BNTS,BSNH->BTNH", (2, 2, 3, 5), (2, 5, 2, 4)),
    "einsum_of_one": einsum("abc->acb", S),
    "bias": case(lambda x: tf.nn.bias_add(x, weights(x, 4)), "BiasAdd"),
}

NORMALIZATION: dict[str, Case] = {
    f"batch_norm_v{version}": case(
        lambda x, version=version: batch_norm(x, version),
        "FusedBatchNorm" + (f"V{version}" if version > 1 else ""),
        shapes=[(2, 3, 3, 4)],
        smooth=False,
        tflite=version == 3,
    )
    for version in (1, 2, 3)
}
NORMALIZATION["batch_norm_channels_first"] = case(
    lambda x: batch_norm(x, 3, "NCHW"), "FusedBatchNormV3", shapes=[(2, 4, 3, 3)], smooth=False
)
NORMALIZATION |= {
    f"batch_norm_of_the_batch_{data_format}": case(
        lambda x, data_format=data_format: batch_norm(x, 3, data_format, of_the_batch=True),
        "FusedBatchNormV3",
        shapes=[shape],
        smooth=False,
    )
    for data_format, shape in {"NHWC": (2, 3, 3, 4), "NCHW": (2, 4, 3, 3)}.items()
}
NORMALIZATION["layer_norm_of_keras_2"] = case(layer_norm_of_keras_2, "FusedBatchNormV3", smooth=False)

CASES = REDUCTIONS | PRODUCTS | NORMALIZATION
