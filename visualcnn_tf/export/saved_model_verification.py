"""Running what was written, the way its runtime does, and comparing it with the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.comparison import check_output

_TOLERANCE = {"float16": 2e-2, "bfloat16": 5e-2}
_STEP = 0.5
# A step or two in the last bit of float32, and how much more other kernels may round.
_ROUNDING = 2.0**-22
ROOM = 4.0
# Rounding moves the maps of a deep network by more, all of a map a little: up to a thousandth is right where the map
# correlates as a map does that was merely rounded.
_DEEP, SAME_MAP = 1e-3, 0.9999


def verify_saved_model(
    folder: Path, model: Any, functions: dict[str, Any], examples: dict[str, dict[str, Any]], decoder: Any
) -> None:
    """Loads a SavedModel into a session and compares its signatures with the functions that they were made of.

    The session restores graph and variables as TensorFlow Serving does. Loading it into Python objects instead would
    also work for models that no server can load.

    Args:
        folder: of the SavedModel.
        model: what it was made of, for its name.
        functions: the signatures, by name.
        examples: for each signature, inputs by name to run it on.
        decoder: what ``serving_bytes`` makes images of its strings with; None without that signature.

    Raises:
        ExportVerificationError: naming the signature and the output.
    """
    try:
        served = _served(folder, examples)
    except Exception as error:
        raise ExportVerificationError(
            f"The SavedModel of {model.name!r} does not run outside of Python: {error}"
        ) from error
    for name, function in functions.items():
        expected = function(*map(tf.constant, examples[name].values()))
        moved = {**expected, **_moved(name, functions, examples[name], decoder)}
        if set(expected) != set(served[name]):
            raise ExportVerificationError(f"The signature {name!r} has outputs {sorted(served[name])}.")
        for key, value in expected.items():
            _compare(f"{name!r}, output {key!r}", served[name][key], value, moved[key])


def _moved(name: str, functions: dict[str, Any], examples: dict[str, Any], decoder: Any) -> dict[str, Any]:
    """The outputs for nudged examples; encoded images are nudged once they are decoded."""
    if name == "serving_bytes":
        images, _ = tf.function(decoder, autograph=False)(tf.constant(examples["image_bytes"]))
        # Images stand where the strings stood, at the first place; signatures are called by places here.
        name, examples = "serving_default", {**examples, "image_bytes": images.numpy()}
    outputs: dict[str, Any] = functions[name](*map(tf.constant, nudged(examples).values()))
    return outputs


def nudged(examples: dict[str, Any]) -> dict[str, Any]:
    """The examples with their floats moved by the least that can be: what outputs change by then is not wrong.

    Scaling a map that is nearly constant to [0, 1], say, makes large differences of rounding.
    """
    return {
        name: (value * (1 + _ROUNDING)).astype(value.dtype) if value.dtype.kind == "f" else value
        for name, value in examples.items()
    }


def differs_by(got: Any, want: Any) -> float:
    """The largest difference; of uint8 the mean one, because a value half-way between two steps may fall either way."""
    distance = np.abs(_float64(got) - _float64(want))
    return float(np.mean(distance) if want.dtype == tf.uint8 else np.max(distance, initial=0.0))


def _float64(tensor: Any) -> Any:
    return np.asarray(tf.cast(tensor, tf.float64))


def _served(folder: Path, examples: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The outputs of each signature for its examples."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session, _without_deprecation_log():
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        served = {}
        for name, feed in examples.items():
            signature = meta_graph.signature_def[name]
            fetches = {key: info.name for key, info in signature.outputs.items()}
            served[name] = session.run(fetches, {signature.inputs[key].name: value for key, value in feed.items()})
    return served


@contextmanager
def _without_deprecation_log() -> Iterator[None]:
    # TensorFlow logs that sessions are a thing of the past; they are what its server runs.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _compare(what: str, got: Any, want: Any, moved: Any) -> None:
    if want.dtype == tf.string:
        for one, *others in zip(np.asarray(got), want.numpy(), moved.numpy(), strict=True):
            _compare(what, tf.io.decode_png(one), *map(tf.io.decode_png, others))
        return
    scale = max(1.0, float(np.max(np.abs(_float64(want)), initial=0.0)))
    tolerance = _STEP if want.dtype == tf.uint8 else _TOLERANCE.get(want.dtype.name, 1e-5) * scale
    allowed = tolerance + ROOM * differs_by(moved, want)
    difference = differs_by(got, want) if tuple(got.shape) == tuple(want.shape) else np.inf
    if difference <= _DEEP * scale and want.dtype == tf.float32 and want.shape.rank > 2:
        allowed = max(allowed, difference if check_output(got, want).correlation >= SAME_MAP else 0.0)
    if not difference <= allowed:
        raise ExportVerificationError(
            f"The exported model differs from the Keras model in {what}: by {difference:.3g}, where "
            f"{allowed:.3g} is allowed; shapes {tuple(got.shape)} and {tuple(want.shape)}."
        )
