"""What is done with each model of a family: each way takes a member and returns the text of a cell, or raises."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from tools.zoo.ways import WrongResultError, relative, shows_something
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.record import OutputRecorder, recording

GRADIENTS = 1e-5
Score = Callable[[Any], Any]


def largest(logits: Any) -> Any:
    """Return the logit of the predicted class, ``(B,)``."""
    return tf.reduce_max(logits, axis=-1)


@dataclass
class Member:
    """A model of a family.

    Attributes:
        model: The model.
        inputs: Two examples.
        method: The method for its family.
        score: The score of each example as a function of the model's outputs, written plainly. The activations of
            the layers in ``heads`` are left out for it, so that outputs are logits.
        heads: The names of these layers; by default all with a softmax.
        options: Options of ``attach``, such as the target.
    """

    model: keras.Model
    inputs: Any
    method: str
    score: Score = largest
    heads: tuple[str, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def attached(self, method: Any, **options: Any) -> vc.ExplainedModel:
        """Return the model explained at ``"last"``."""
        return vc.attach(self.model, "last", method=method, **{**self.options, **options})

    @property
    def named_inputs(self) -> dict[str, Any]:
        """The inputs by name, as the exporters take them."""
        if isinstance(self.inputs, dict):
            return self.inputs
        names = [tensor.name for tensor in keras.tree.flatten(self.model.inputs)]
        return dict(zip(names, keras.tree.flatten(self.inputs), strict=True))


# The ways ----------------------------------------------------------------------------------------------------------


def layers(member: Member) -> str:
    """Return the layer that ``"last"`` means for Grad-CAM and its sizes, those of tokens with their grid."""
    [tap] = member.attached("gradcam").taps
    return f"`{tap.path}` {tap.sizes}"


def gradients(member: Member) -> str:
    """Compare Grad-CAM with that by ``tf.gradients``; return the relative difference."""
    explained = member.attached(vc.methods.GradCAM(relu=False), size=None, normalize=None)
    [tap] = explained.taps
    got = tf.function(explained, autograph=False)(member.inputs)[tap.key]
    want = reference_gradcam(member, tap)
    if not np.abs(want).max() > 0:
        raise WrongResultError("all gradients are zero")
    worst = relative(got, want)
    if not worst <= GRADIENTS:
        raise WrongResultError(f"Grad-CAM differs by {worst:.1e} from that by TensorFlow's gradients")
    return f"{worst:.0e}"


def reference_gradcam(member: Member, tap: Any) -> Any:
    """Return Grad-CAM of the score without ReLU, from gradients by ``tf.gradients``."""
    layer = named_layers(member.model)[tap.path]
    recorder = OutputRecorder([layer])

    @tf.function(autograph=False)
    def run(inputs: Any) -> Any:
        recorder.calls[id(layer)].clear()
        score = member.score(member.model(inputs, training=False))
        activations = recorder.outputs_of(layer)[tap.call_index]
        slopes = tf.gradients(score, activations)[0]
        return tf.cast(activations, tf.float32), tf.cast(slopes, tf.float32)

    with recording(recorder), _logits(member):
        activations, slopes = (_as_maps(one.numpy().astype(np.float64), tap) for one in run(member.inputs))
    space = tuple(range(1, activations.ndim - 1))
    return (activations * slopes.mean(axis=space, keepdims=True)).sum(axis=-1)


def _as_maps(values: np.ndarray, tap: Any) -> np.ndarray:
    """Return values with the channels last; tokens ``(B, N, C)`` as maps without those of no position."""
    if tap.tokens is not None:
        grid = tap.tokens
        return values[:, grid.prefix : grid.prefix + grid.count].reshape(len(values), *grid.shape, -1)
    [channels] = set(range(1, values.ndim)) - set(tap.spatial_axes)
    return np.moveaxis(values, channels, -1)


@contextlib.contextmanager
def _logits(member: Member) -> Iterator[None]:
    """Let the model return logits."""
    with contextlib.ExitStack() as restore:
        for layer in named_layers(member.model).values():
            activation = getattr(layer, "activation", None)
            is_softmax = activation is keras.activations.softmax
            if is_softmax if member.heads is None else layer.name in member.heads:
                restore.callback(setattr, layer, "activation", activation)
                layer.activation = keras.activations.linear
        yield


def own_method(member: Member) -> str:
    """Run the method of the family; return its name. Heatmaps must be finite, from 0 to 1 exactly, and not blank."""
    explained = member.attached(member.method)
    outputs = tf.function(explained, autograph=False)(member.inputs)
    blank = [tap.path for tap in explained.taps if not shows_something(tap, outputs[tap.key].numpy())]
    if blank:
        raise WrongResultError(f"blank heatmaps of {', '.join(blank)}")
    return f"`{member.method}`"


def saved_model(member: Member) -> str:
    """Export Grad-CAM and the family's method as a SavedModel, which is loaded without Keras and compared."""
    explained = member.attached(_methods(member))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        vc.export_saved_model(explained, path, version=None, warmup=False, representative_data=[member.named_inputs])
    return "equal"


def tflite(member: Member) -> str:
    """Export the same as a TensorFlow Lite file, which is run in the interpreter and compared."""
    explained = member.attached(_methods(member))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.tflite"
        report = vc.export_tflite(explained, path, representative_data=[member.named_inputs])
    if not report.builtin_only:
        raise WrongResultError(f"operations that are not builtin: {report.ops}")
    return f"{max(check.max_difference for check in report.outputs.values()):.0e}"


def _methods(member: Member) -> list[str]:
    return list(dict.fromkeys(["gradcam", member.method]))


WAYS: dict[str, Callable[[Member], str]] = {
    "layers": layers,
    "gradcam": gradients,
    "method": own_method,
    "SavedModel": saved_model,
    "TFLite": tflite,
}
