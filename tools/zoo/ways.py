"""The ways to explain and export: each takes a subject and returns the text of a cell, or raises."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
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
    """A result is wrong."""


def attached(subject: Subject, layers: Any, method: Any, **options: Any) -> Any:
    """Return the explained model, without warnings of layers that are too deep to show positions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vc.errors.SpatialAxesLostWarning)
        return vc.attach(subject.model, layers, method=method, **{**subject.options, **options})


def preset(layers: str) -> Callable[[Subject], str]:
    """Return the way that explains by one preset with both methods and returns the number of layers."""

    def way(subject: Subject) -> str:
        explained = attached(subject, layers, METHODS)
        outputs = tf.function(explained, autograph=False)(subject.inputs)
        bare = tf.function(subject.model, autograph=False)(subject.inputs)
        check_predictions([outputs[name] for name in explained.prediction_names], flat(bare, explained))
        showing = {tap.key: shows_something(tap, outputs[tap.key].numpy()) for tap in explained.taps}
        blank = [key for key, shows in showing.items() if not shows]
        if len(blank) > len(showing) // 2 or any(key.endswith("_deviation") for key in blank):
            raise WrongResultError(f"{len(blank)} of {len(showing)} heatmaps are blank, such as {blank[0]}")
        text = f"{len(showing) // len(METHODS)}"
        return f"{text} ({len(blank)} blank)" if blank else text

    return way


def flat(outputs: Any, explained: Any) -> list[Any]:
    """Return a model's outputs in the order of the explained model's predictions."""
    if isinstance(outputs, dict):
        return [outputs[name] for name in explained.prediction_names]
    return keras.tree.flatten(outputs)


def check_predictions(got: list[Any], want: list[Any]) -> None:
    """Raise unless predictions are those of the bare model, up to rounding."""
    for one, other in zip(got, want, strict=True):
        difference = relative(one, other)
        if not difference <= _PREDICTIONS:
            raise WrongResultError(f"predictions differ by {difference:.1e}")


def relative(got: Any, want: Any) -> float:
    """Return the largest difference, relative to the largest value."""
    a, b = (np.asarray(tf.cast(one, tf.float64)) for one in (got, want))
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))


def shows_something(tap: Any, heatmap: np.ndarray) -> bool:
    """Return whether a heatmap is not blank; raise unless it is finite and exactly from 0 to 1, or all zeros."""
    each = heatmap.reshape(-1, *heatmap.shape[2:]) if tap.has_steps else heatmap
    low, high = (extreme(each.reshape(len(each), -1), axis=1) for extreme in (np.min, np.max))
    if not (np.isfinite(heatmap).all() and (low == 0).all() and ((high == 1) | (high == 0)).all()):
        raise WrongResultError(f"{tap.path}: heatmaps from {low.min()} to {high.max()}")
    return bool(high.any()) or all(n == 1 for n in tap.space)


def gradients(subject: Subject) -> str:
    """Compare Grad-CAM of the stages with that by ``tf.gradients``; return the relative difference."""
    explained = attached(subject, "stages", vc.methods.GradCAM(relu=False), size=None, normalize=None)
    got = tf.function(explained, autograph=False)(subject.inputs)
    want = reference_gradcam(subject, explained)
    worst = max(relative(got[key], value) for key, value in want.items())
    if not worst <= _GRADIENTS:
        raise WrongResultError(f"Grad-CAM differs by {worst:.1e} from that by TensorFlow's gradients")
    return f"{worst:.0e}"


def reference_gradcam(subject: Subject, explained: Any) -> dict[str, Any]:
    """Return Grad-CAM of the logit without ReLU, from gradients by ``tf.gradients``."""
    recorded: dict[str, list[Any]] = {}

    @tf.function(autograph=False)
    def run(inputs: Any) -> dict[str, Any]:
        recorded.clear()
        output = subject.model(inputs, training=False)
        output = output[subject.options["output"]] if isinstance(output, dict) else output
        score = subject.options.get("target", lambda output: tf.reduce_max(output, -1))(output)
        maps = {}
        for tap in explained.taps:
            calls = tap.outputs_of(recorded[tap.path])
            pairs = zip(calls, tf.gradients(score, calls), strict=True)
            steps = [weighted(a, g, tap.returns_sequence) for a, g in pairs]
            maps[tap.key] = steps[0] if tap.time_steps is None else tf.stack(steps, 1)
        return maps

    with recording(subject, [tap.path for tap in explained.taps], recorded):
        return run(subject.inputs)


@contextlib.contextmanager
def recording(subject: Subject, paths: Iterable[str], recorded: dict[str, list[Any]]) -> Iterator[None]:
    """Record the outputs of layers, in a model that returns logits unless it has a target of its own."""
    layers = named_layers(subject.model)

    def recorder(path: str, call: Any) -> Any:
        def recording_call(*args: Any, **kwargs: Any) -> Any:
            recorded.setdefault(path, []).append(call(*args, **kwargs))
            return recorded[path][-1]

        return recording_call

    with contextlib.ExitStack() as restore:
        for path in set(paths):
            restore.callback(setattr, layers[path], "call", layers[path].call)
            layers[path].call = recorder(path, layers[path].call)
        for layer in layers.values():
            is_softmax = getattr(layer, "activation", None) is keras.activations.softmax
            if is_softmax and "target" not in subject.options:
                restore.callback(setattr, layer, "activation", layer.activation)
                layer.activation = keras.activations.linear
        yield


def weighted(a: Any, g: Any, has_steps: bool) -> Any:
    """Return Grad-CAM without ReLU of activations and gradients; time steps, if any, are separate."""
    space = list(range(2 if has_steps else 1, a.shape.rank - 1))
    return tf.reduce_sum(tf.reduce_mean(g, space, keepdims=True) * a, -1)


def own_inputs(subject: Subject) -> dict[str, Any]:
    """Return a subject's inputs by name, as the exporters take them."""
    names = [tensor.name for tensor in keras.tree.flatten(subject.model.inputs)]
    return dict(zip(names, keras.tree.flatten(subject.inputs), strict=True))


def saved_model(subject: Subject) -> str:
    """Export the stages by both methods as a SavedModel, which is run without Keras and compared."""
    explained = attached(subject, "stages", METHODS)
    with tempfile.TemporaryDirectory() as folder:
        vc.export_saved_model(explained, Path(folder) / "m", warmup=False, representative_data=[own_inputs(subject)])
    return "equal"


def tflite(subject: Subject) -> str:
    """Export the stages by both methods as a TensorFlow Lite file, which is run in the interpreter and compared."""
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
