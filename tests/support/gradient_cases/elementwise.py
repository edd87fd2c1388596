"""Cases of the rules for arithmetic on single values."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from support.gradient_cases.check import Case

S = (2, 3, 4)


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(0.5, 2.0, shape)


def with_ties(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-1, 2, shape).astype(float)


#: A constant of two axes, its first broadcast against the second of three.
TABLE = np.linspace(0.5, 2.0, 12).reshape(3, 4)


def table(x: tf.Tensor) -> tf.Tensor:
    return tf.constant(TABLE, x.dtype)


CASES: dict[str, Case] = {
    "add": Case(lambda a, b: a + b, [S, S], ("AddV2",), smooth=True),
    "add_broadcast": Case(lambda a, b: a + b + table(a), [S, (2, 1, 4)], ("AddV2",), smooth=True),
    "add_lower_rank": Case(lambda a: table(a)[:1] + tf.reduce_sum(a, 0), [S], ("AddV2",), smooth=True),
    "add_v1": Case(lambda a, b: tf.raw_ops.Add(x=a, y=b), [S, S], ("Add",), smooth=True),
    "add_n": Case(lambda a, b: tf.add_n([a, b, a]), [S, S], ("AddN",), smooth=True),
    "sub": Case(lambda a, b: a - b, [S, (2, 3, 1)], ("Sub",), smooth=True),
    "mul": Case(lambda a, b: a * b * table(a), [S, (2, 1, 1)], ("Mul",), smooth=True),
    "mul_itself": Case(lambda a: a * a * 3.0, [S], ("Mul",), smooth=True),
    "divide": Case(lambda a, b: a / b, [S, S], ("RealDiv",), smooth=True, draw=positive),
    "divide_broadcast": Case(lambda a, b: a / b / 3.0, [(2, 1, 4), S], ("RealDiv",), smooth=True, draw=positive),
    "divide_v1": Case(lambda a, b: tf.raw_ops.Div(x=a, y=b), [S, S], ("Div",), draw=positive, tflite=False),
    "divide_no_nan": Case(tf.math.divide_no_nan, [S, (2, 3, 1)], ("DivNoNan",), draw=positive),
    "divide_no_nan_by_zero": Case(tf.math.divide_no_nan, [S, S], ("DivNoNan",), draw=with_ties),
    "squared_difference": Case(tf.math.squared_difference, [S, (2, 3, 1)], ("SquaredDifference",), smooth=True),
    "maximum": Case(tf.maximum, [S, (2, 1, 4)], ("Maximum",), smooth=True),
    "maximum_ties": Case(tf.maximum, [S, S], ("Maximum",), draw=with_ties),
    "minimum": Case(tf.minimum, [(2, 1, 4), S], ("Minimum",), smooth=True),
    "minimum_ties": Case(tf.minimum, [S, S], ("Minimum",), draw=with_ties),
    "power": Case(lambda a: a**2.5 + a**-1.0, [S], ("Pow",), smooth=True, draw=positive),
    "power_of_two": Case(lambda a: tf.pow(a, 2.0), [S], ("Pow",), smooth=True),
    "power_of_three": Case(lambda a: tf.pow(a, 3.0), [S], ("Pow",), smooth=True),
    "power_of_base_and_exponent": Case(tf.pow, [S, (2, 3, 1)], ("Pow",), smooth=True, draw=positive),
    "negative": Case(lambda a: -a, [S], ("Neg",), smooth=True),
    "square": Case(tf.square, [S], ("Square",), smooth=True),
    "sqrt": Case(tf.sqrt, [S], ("Sqrt",), smooth=True, draw=positive),
    "rsqrt": Case(tf.math.rsqrt, [S], ("Rsqrt",), smooth=True, draw=positive),
    "exp": Case(tf.exp, [S], ("Exp",), smooth=True),
    "expm1": Case(tf.math.expm1, [S], ("Expm1",), smooth=True),
    "log": Case(tf.math.log, [S], ("Log",), smooth=True, draw=positive),
    "log1p": Case(tf.math.log1p, [S], ("Log1p",), smooth=True, draw=positive),
    "sin": Case(tf.sin, [S], ("Sin",), smooth=True),
    "cos": Case(tf.cos, [S], ("Cos",), smooth=True),
    "reciprocal": Case(tf.math.reciprocal, [S], ("Reciprocal",), smooth=True, draw=positive),
    "inverse": Case(lambda a: tf.raw_ops.Inv(x=a), [S], ("Inv",), smooth=True, draw=positive, tflite=False),
    "abs": Case(tf.abs, [S], ("Abs",), smooth=True),
    "cast": Case(lambda a: a * tf.cast(tf.cast(a, tf.float64), a.dtype), [S], ("Cast",), tflite=False),
    "cast_to_integer": Case(lambda a: a * tf.cast(tf.cast(3.0 * a, tf.int32), a.dtype), [S], ("Cast",)),
    "identity": Case(lambda a: tf.identity(a) * 2.0, [S], ("Identity",)),
    "identity_n": Case(lambda a, b: tf.add_n(tf.identity_n([a, b, a])), [S, S], ("IdentityN",)),
    "placeholder_with_default": Case(
        lambda a: tf.raw_ops.PlaceholderWithDefault(input=a, shape=a.shape) * 2.0,
        [S],
        ("PlaceholderWithDefault",),
        tflite=False,
    ),
    "ensure_shape": Case(lambda a: tf.ensure_shape(a, [None, 3, 4]) * 2.0, [S], ("EnsureShape",)),
    "check_numerics": Case(lambda a: tf.debugging.check_numerics(a, "") * 2.0, [S], ("CheckNumerics",), tflite=False),
    "select": Case(lambda a, b: tf.where(a > b, a * 2.0, b), [S, (2, 1, 4)], ("SelectV2",), smooth=True),
    "select_scalar": Case(lambda a: tf.where(a > 0.0, 2.0 * a, 0.5), [S], ("SelectV2",), smooth=True),
    "select_v1": Case(
        lambda a, b: tf.raw_ops.Select(condition=a > b, x=a * 2.0, y=b), [S, S], ("Select",), smooth=True
    ),
    "clip": Case(lambda a: tf.clip_by_value(a, -0.5, 0.5), [S], ("Minimum", "Maximum"), smooth=True),
    "clip_by_value": Case(
        lambda a: tf.raw_ops.ClipByValue(
            t=a, clip_value_min=tf.constant(-0.5, a.dtype), clip_value_max=tf.constant(0.5, a.dtype)
        ),
        [S],
        ("ClipByValue",),
        smooth=True,
        tflite=False,
    ),
    # Steps have no gradient, and their values still count.
    "sign": Case(lambda a: a * tf.sign(a), [S], ("Sign",), smooth=True),
    "floor": Case(lambda a: a * tf.floor(a), [S], ("Floor",), smooth=True),
    "ceil": Case(lambda a: a * tf.math.ceil(a), [S], ("Ceil",), smooth=True),
    "round": Case(lambda a: a * tf.round(a), [S], ("Round",), smooth=True),
    "rint": Case(lambda a: a * tf.math.rint(2.0 * a), [S], ("Rint",), smooth=True, tflite=False),
    "stop_gradient": Case(lambda a: a * tf.stop_gradient(tf.exp(a)), [S], ("StopGradient",)),
    "zeros_like": Case(lambda a: tf.exp(a) + tf.raw_ops.ZerosLike(x=a), [S], ("ZerosLike",), smooth=True),
    "ones_like": Case(lambda a: a * tf.raw_ops.OnesLike(x=a), [S], ("OnesLike",), smooth=True, tflite=False),
}
