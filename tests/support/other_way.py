"""Activations, gradients and re-runs of any model, by other means than the package's: the truth of the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf


@contextmanager
def intercepted(change: Callable[[Any, int, Any], Any]) -> Iterator[None]:
    """Hands every output of every layer, and which call of the layer it is, to a function, and on what this returns."""
    counts: dict[int, int] = {}
    original = keras.layers.Layer.__call__

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = original(layer, *args, **kwargs)
        counts[id(layer)] = counts.get(id(layer), -1) + 1
        return change(layer, counts[id(layer)], outputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.layers.Layer, "__call__", call)
        yield


@contextmanager
def without_softmax(model: Any) -> Iterator[None]:
    """Makes the last dense layer return its logits."""
    dense = [layer for layer in model._flatten_layers() if hasattr(layer, "activation") and hasattr(layer, "units")]
    with pytest.MonkeyPatch.context() as patch:
        for layer in dense:
            if getattr(layer.activation, "__name__", "") in ("softmax", "sigmoid"):
                patch.setattr(layer, "activation", keras.activations.linear)
        yield


def one(outputs: Any, output: str | None) -> Any:
    """The output that is explained, where there are several: the tests name the first one."""
    if isinstance(outputs, dict):
        return outputs[output]
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def best_class(outputs: Any) -> Any:
    return tf.reduce_max(tf.cast(outputs, tf.float32), -1)


def activations_and_gradients(
    model: Any, inputs: Any, layers: dict[str, tuple[str, int, int | None]], score: Any = best_class, output: Any = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By TensorFlow's own gradients on a trace of its own.

    Args:
        model: the model.
        inputs: a batch.
        layers: for each key the name of a layer, which of its calls, and the number of time steps or None.
        score: from the model's logits to what is explained, ``(B,)``.
        output: its name.
    """

    def graph(inputs: Any) -> Any:
        seen: dict[tuple[str, int], Any] = {}

        def note(layer: Any, call: int, outputs: Any) -> Any:
            seen[layer.name, call] = outputs
            return outputs

        with intercepted(note), without_softmax(model):
            scores = score(one(model(inputs, training=False), output))
        found = {}
        for key, (name, index, frames) in layers.items():
            calls = [seen[name, index * (frames or 1) + step] for step in range(frames or 1)]
            slopes = tf.gradients(scores, calls)
            found[key] = [each if frames is None else tf.stack(each, 1) for each in ([*calls], [*slopes])]
            if frames is None:
                found[key] = [found[key][0][0], found[key][1][0]]
        return found

    inputs = tf.nest.map_structure(tf.constant, inputs)
    return {
        key: tuple(np.asarray(tf.cast(t, tf.float64)) for t in pair) for key, pair in tf.function(graph)(inputs).items()
    }


def rerun(model: Any, inputs: Any, name: str, index: int, maps: np.ndarray) -> np.ndarray:
    """The model's logits when one call of one layer returns these maps."""

    def replace(layer: Any, call: int, outputs: Any) -> Any:
        return tf.constant(maps, outputs.dtype) if (layer.name, call) == (name, index) else outputs

    with intercepted(replace), without_softmax(model):
        return model(inputs, training=False).numpy()
