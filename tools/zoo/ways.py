"""The ways: each takes a subject and returns what stands in its cell of the table, or fails with the reason."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from tools.zoo.subject import Subject
from visualcnn_tf.introspect.named_layers import named_layers

METHODS = ("deviation", "gradcam")
_PREDICTIONS, _GRADIENTS = 1e-5, 1e-4


class WrongResultError(Exception):
    """A way gives what it must not give."""


def attached(subject: Subject, layers: Any, method: Any, **options: Any) -> Any:
    """The explained model; of what ``attach`` warns, a deep layer says nothing new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vc.errors.SpatialAxesLostWarning)
        return vc.attach(subject.model, layers, method=method, **{**subject.options, **options})


def preset(layers: str) -> Callable[[Subject], str]:
    """The way of one preset, with both methods: the number of layers."""

    def way(subject: Subject) -> str:
        explained = attached(subject, layers, METHODS)
        outputs = tf.function(explained, autograph=False)(subject.inputs)
        own = tf.function(subject.model, autograph=False)(subject.inputs)
        check_predictions([outputs[name] for name in explained.prediction_names], flat(own, explained))
        showing = {tap.key: lively(tap, outputs[tap.key].numpy()) for tap in explained.taps}
        blank = [key for key, shows in showing.items() if not shows]
        if len(blank) > len(showing) // 2 or any(key.endswith("_deviation") for key in blank):
            raise WrongResultError(f"{len(blank)} of {len(showing)} heatmaps are blank, such as {blank[0]}")
        text = f"{len(showing) // len(METHODS)}"
        return f"{text} ({len(blank)} blank)" if blank else text

    return way


def flat(outputs: Any, explained: Any) -> list[Any]:
    """A model's own outputs in the order of the explained model's."""
    if isinstance(outputs, dict):
        return [outputs[name] for name in explained.prediction_names]
    return keras.tree.flatten(outputs)


def check_predictions(got: list[Any], want: list[Any]) -> None:
    """Raises unless they are those of the bare model, but for the rounding of other kernels."""
    for one, other in zip(got, want, strict=True):
        difference = relative(one, other)
        if not difference <= _PREDICTIONS:
            raise WrongResultError(f"predictions differ by {difference:.1e}")


def relative(got: Any, want: Any) -> float:
    """The largest difference, as a part of the largest value."""
    a, b = (np.asarray(tf.cast(each, tf.float64)) for each in (got, want))
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))


def lively(tap: Any, heatmap: np.ndarray) -> bool:
    """Whether a heatmap shows something; raises unless each is finite, and from 0 to 1 exactly or all zeros."""
    each = heatmap.reshape(-1, *heatmap.shape[2:]) if tap.has_steps else heatmap
    low, high = (reach(each.reshape(len(each), -1), axis=1) for reach in (np.min, np.max))
    if not (np.isfinite(heatmap).all() and (low == 0).all() and ((high == 1) | (high == 0)).all()):
        raise WrongResultError(f"{tap.path}: heatmaps from {low.min()} to {high.max()}")
    return bool(high.any()) or all(n == 1 for n in tap.frame_shape[1:-1])


def gradients(subject: Subject) -> str:
    """Grad-CAM of the stages against TensorFlow's own gradients: the difference, as a part of the largest value."""
    explained = attached(subject, "stages", "gradcam", size=None, normalize=None, relu=False)
    got = tf.function(explained, autograph=False)(subject.inputs)
    want = other_gradcam(subject, explained)
    worst = max(relative(got[key], value) for key, value in want.items())
    if not worst <= _GRADIENTS:
        raise WrongResultError(f"Grad-CAM differs by {worst:.1e} from that by TensorFlow's gradients")
    return f"{worst:.0e}"


def other_gradcam(subject: Subject, explained: Any) -> dict[str, Any]:
    """The mean gradient of each channel, times the channel: of the logit, by ``tf.gradients``."""
    seen: dict[str, list[Any]] = {}

    def noting(path: str, call: Any) -> Any:
        def noted(*args: Any, **kwargs: Any) -> Any:
            seen.setdefault(path, []).append(call(*args, **kwargs))
            return seen[path][-1]

        return noted

    @tf.function(autograph=False)
    def run(inputs: Any) -> dict[str, Any]:
        seen.clear()
        output = subject.model(inputs, training=False)
        output = output[subject.options["output"]] if isinstance(output, dict) else output
        score = subject.options.get("target", lambda output: tf.reduce_max(output, -1))(output)
        maps = {}
        for tap in explained.taps:
            calls = tap.calls(seen[tap.path])
            steps = [weighted(a, g, tap.sequence) for a, g in zip(calls, tf.gradients(score, calls), strict=True)]
            maps[tap.key] = steps[0] if tap.frames is None else tf.stack(steps, 1)
        return maps

    layers = named_layers(subject.model)
    with contextlib.ExitStack() as after:
        for path in {tap.path for tap in explained.taps}:
            after.callback(setattr, layers[path], "call", layers[path].call)
            layers[path].call = noting(path, layers[path].call)
        for layer in layers.values():
            ends = getattr(layer, "activation", None) is keras.activations.softmax
            if ends and "target" not in subject.options:
                after.callback(setattr, layer, "activation", layer.activation)
                layer.activation = keras.activations.linear
        return run(subject.inputs)


def weighted(a: Any, g: Any, is_film: bool) -> Any:
    """Grad-CAM but for its ReLU, of maps or of a film of maps, each by itself."""
    space = list(range(2 if is_film else 1, a.shape.rank - 1))
    return tf.reduce_sum(tf.reduce_mean(g, space, keepdims=True) * a, -1)


def own_inputs(subject: Subject) -> dict[str, Any]:
    """A subject's inputs by name, as the exporters take them: what its normalizations have seen, unlike noise."""
    names = [tensor.name for tensor in keras.tree.flatten(subject.model.inputs)]
    return dict(zip(names, keras.tree.flatten(subject.inputs), strict=True))


def saved_model(subject: Subject) -> str:
    """The stages by both methods, written for a server, run without Keras, and compared."""
    explained = attached(subject, "stages", METHODS)
    with tempfile.TemporaryDirectory() as folder:
        vc.export_saved_model(explained, Path(folder) / "m", warmup=False, representative_data=[own_inputs(subject)])
    return "equal"


def tflite(subject: Subject) -> str:
    """The stages by both methods in a file of builtin operations only, run in the interpreter, and compared."""
    explained = attached(subject, "stages", METHODS)
    with tempfile.TemporaryDirectory() as folder:
        report = vc.export_tflite(explained, Path(folder) / "m.tflite", representative_data=[own_inputs(subject)])
    if not report.builtin_only:
        raise WrongResultError(f"operations that are not builtin: {report.ops}")
    return f"{max(check.max_difference for check in report.outputs.values()):.0e}"


WAYS: dict[str, Callable[[Subject], str]] = {
    "last": preset("last"),
    "stages": preset("stages"),
    "SavedModel": saved_model,
    "TFLite": tflite,
    "gradients": gradients,
    "conv": preset("conv"),
}
