"""A check for every public name of ``visualcnn_tf.methods``."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from support import oracle, oracle_attention, oracle_gradient
from support.option_cases import images, tiny_model
from support.oracle import assert_close
from visualcnn_tf import methods

MAPS = images(2)
# Positive, so that no channel sums to nothing.
A, G = tf.constant(abs(MAPS)), tf.constant(MAPS + 1)


def check_activation_method(method: Any) -> None:
    assert isinstance(method, methods.ActivationMethod)
    truth = np.stack([oracle.FUSIONS[method.name](one) for one in MAPS.astype(np.float64)])
    assert_close(method(tf.constant(MAPS)), truth)


def check_gradient_method(method_class: Any) -> None:
    signed = method_class(relu=False)
    assert isinstance(signed, methods.GradientMethod)
    for method in (signed, method_class()):  # the ReLU comes after the method
        assert_close(method(A, G), oracle_gradient.fuse(A, G, method.name, relu=False))


class Scores:
    """A replay whose score is the sum of a map, or of a mask, times its first channel."""

    def on_maps(self, change: Any, spatial_mean: Any, count: int) -> Any:
        maps = change(tf.range(count))
        assert_close(spatial_mean(tf.range(count)), tf.reduce_mean(maps, (2, 3)).numpy())
        return tf.reduce_sum(maps[..., 0], (2, 3))

    def on_images(self, masks: Any, count: int) -> Any:
        return tf.reduce_sum(masks(tf.range(count)), (2, 3))


def check_replay_method(method: Any) -> None:
    assert isinstance(method, methods.ReplayMethod)
    maps = method(A, Scores()).numpy()
    if method.name == "reciprocam":
        truth = [oracle_gradient.reciprocam(a, lambda maps: maps[..., 0].sum()) for a in A.numpy().astype(float)]
    elif method.name == "scorecam":
        sums = A.numpy().sum((1, 2), dtype=float)
        powers = np.exp(sums - sums.max(1, keepdims=True))
        truth = (A.numpy() * (powers / powers.sum(1, keepdims=True))[:, None, None]).sum(-1)
    else:  # without the first channel nothing is left of the score, without another nothing is lost
        truth = A.numpy()[..., 0].astype(float)
    assert_close(maps, np.array(truth))


def check_attention_method(method: Any) -> None:
    assert isinstance(method, methods.AttentionMethod)
    rng = np.random.default_rng(4)
    weights, gradients = (rng.random((2, 1, 2, 3, 3)).astype(np.float32) for _ in range(2))
    read = tf.constant([[[1.0], [0.0], [0.0]]])
    of = [[*map(tf.constant, gradients)]] if method.needs_gradients else []
    oracle_of = oracle_attention.gradientrollout if of else oracle_attention.attentionrollout
    truth = oracle_of(weights[:, 0], *([gradients[:, 0]] if of else []), [0])
    assert_close(method([*map(tf.constant, weights)], read, *of), truth[np.newaxis])


def check_head_method() -> None:
    method = methods.DetClassMap()
    assert isinstance(method, methods.HeadMethod)
    levels = [abs(images(2))[:, ::step, ::step, np.newaxis] for step in (1, 2)]  # (B, h, w, 1, K)
    fine, coarse = (level[..., 0, 1].astype(float) for level in levels)
    truth = np.maximum(fine, oracle.resize(coarse, fine.shape[1:], "bilinear"))
    assert_close(method([tf.constant(level) for level in levels], tf.constant([[1], [1]])), truth)


def check_method() -> None:
    for name in methods.NAMES:
        assert isinstance(methods.get(name), methods.Method)
    with pytest.raises(NotImplementedError):
        methods.ActivationMethod()(A)
    with pytest.raises(NotImplementedError):
        methods.AttentionMethod()([], A)


def check_custom() -> None:
    custom = methods.Custom(lambda a, g: tf.reduce_max(a * g, -1))
    assert custom.needs_gradients
    np.testing.assert_array_equal(custom(A, G), (A.numpy() * G.numpy()).max(-1))
    assert vc.attach(tiny_model(), "pool", method=custom).taps[0].method is custom


def check_cost() -> None:
    assert methods.Cost() == methods.Cost(0, "nothing")
    assert methods.ScoreCAM(max_channels=3).cost((2, 2), 8) == methods.Cost(evaluations=3, of="model")


def check_names() -> None:
    assert len(methods.NAMES) == len(set(methods.NAMES)) > 10
    for name in methods.NAMES:
        assert methods.get(name).name == name


def check_get() -> None:
    assert methods.get("gradcam") == methods.GradCAM()
    with pytest.raises(vc.InvalidArgumentError, match="Did you mean 'gradcam'"):
        methods.get("GradCAM")


def check_method_like() -> None:
    assert methods.Method in typing.get_args(methods.MethodLike)


def check_replay() -> None:
    assert {"on_maps", "on_images"} <= set(dir(methods.Replay))


_ACTIVATION = ("Deviation", "Eigen", "L2", "Max", "Mean", "MeanAbs", "Std")
_GRADIENT = ("EigenGradCAM", "GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "XGradCAM")
_ATTENTION = ("AttentionRollout", "GradientRollout")
_REPLAY = ("AblationCAM", "ReciproCAM", "ScoreCAM")

PUBLIC_METHODS: dict[str, Callable[[], None]] = {
    **{name: lambda name=name: check_activation_method(getattr(methods, name)()) for name in _ACTIVATION},
    **{name: lambda name=name: check_gradient_method(getattr(methods, name)) for name in _GRADIENT},
    **{name: lambda name=name: check_replay_method(getattr(methods, name)()) for name in _REPLAY},
    **{name: lambda name=name: check_attention_method(getattr(methods, name)()) for name in _ATTENTION},
    **dict.fromkeys(("DetClassMap", "HeadMethod"), check_head_method),
    **dict.fromkeys(("ActivationMethod", "AttentionMethod", "GradientMethod", "ReplayMethod", "Method"), check_method),
    "Cost": check_cost,
    "Custom": check_custom,
    "MethodLike": check_method_like,
    "NAMES": check_names,
    "Replay": check_replay,
    "get": check_get,
}
