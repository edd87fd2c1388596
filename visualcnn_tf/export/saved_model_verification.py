"""Verify a written SavedModel: load it the way TensorFlow Serving does, run it, and compare it with the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.comparison import (
    SAME_MAP,
    check_output,
    difference,
    magnitude,
    nudged,
    rounding_tolerance,
)
from visualcnn_tf.export.image_decoder import ImageDecoder
from visualcnn_tf.export.types import Arrays, Signature

# Allowed differences: relative to the largest value of an output by type, and for uint8 as a mean over all values.
_FLOAT32, _HALF_PRECISION = 1e-5, {"float16": 2e-2, "bfloat16": 5e-2}
_UINT8_MEAN = 0.5
# Rounding moves the maps of a deep network by more than that, but evenly: a map that correlates with the model's by
# `SAME_MAP` may differ by this much.
_ROUNDED_MAP = 1e-3


def verify_saved_model(
    folder: Path,
    model: keras.Model,
    functions: Mapping[str, Signature],
    examples: Mapping[str, Arrays],
    decoder: ImageDecoder | None,
) -> None:
    """Raise unless a SavedModel returns what the signatures it was made from return.

    It is loaded into a session, which restores the graph and the variables as TensorFlow Serving does. Loading it into
    Python objects instead would also succeed for models that no server can load.

    Args:
        folder: The folder of the SavedModel.
        model: The model that was exported; its name appears in errors.
        functions: The signatures that were exported, by name.
        examples: The inputs to run each signature on, by the name of the signature.
        decoder: What decodes the images of ``serving_bytes``; None if that signature is not exported.

    Raises:
        ExportVerificationError: If the SavedModel does not run, or an output differs; names signature and output.
    """
    try:
        served = _run_in_session(folder, examples)
    except Exception as error:
        raise ExportVerificationError(
            f"The SavedModel of {model.name!r} does not run outside of Python: {error}"
        ) from error
    for name, function in functions.items():
        want = function(*map(tf.constant, examples[name].values()))
        nudged_want = {**want, **_outputs_for_nudged(name, functions, examples[name], decoder)}
        if set(want) != set(served[name]):
            raise ExportVerificationError(f"The signature {name!r} has outputs {sorted(served[name])}.")
        for key, value in want.items():
            _compare(f"{name!r}, output {key!r}", served[name][key], value, nudged_want[key])


def _outputs_for_nudged(
    name: str, functions: Mapping[str, Signature], examples: Arrays, decoder: ImageDecoder | None
) -> dict[str, tf.Tensor]:
    """Return the outputs of a signature for nudged examples; encoded images are nudged after decoding."""
    if name == "serving_bytes":
        images, _ = tf.function(decoder, autograph=False)(tf.constant(examples["image_bytes"]))
        # Signatures are called by position, and in both of these the images come first.
        name, examples = "serving_default", {**examples, "image_bytes": images.numpy()}
    return functions[name](*map(tf.constant, nudged(examples).values()))


def _run_in_session(folder: Path, examples: Mapping[str, Arrays]) -> dict[str, Arrays]:
    """Return the outputs of each signature of a SavedModel for its examples."""
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
    # TensorFlow logs that loading into a session is deprecated; it is still what its server does.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _compare(what: str, got: np.ndarray, want: tf.Tensor, nudged_want: tf.Tensor) -> None:
    """Raise if an output differs from the model's by more than rounding explains.

    Args:
        what: The name of the output, for the error.
        got: The output of the SavedModel.
        want: The output of the model.
        nudged_want: The output of the model for nudged inputs.
    """
    if want.dtype == tf.string:  # PNG files
        for one, *others in zip(np.asarray(got), want.numpy(), nudged_want.numpy(), strict=True):
            _compare(what, tf.io.decode_png(one), *map(tf.io.decode_png, others))
        return
    distance = difference(got, want) if tuple(got.shape) == tuple(want.shape) else np.inf
    allowed = _tolerance(want) + rounding_tolerance(want, nudged_want)
    if not (distance <= allowed or _is_evenly_rounded_map(got, want, distance)):
        raise ExportVerificationError(
            f"The exported model differs from the Keras model in {what}: by {distance:.3g}, where "
            f"{allowed:.3g} is allowed; shapes {tuple(got.shape)} and {tuple(want.shape)}."
        )


def _tolerance(want: tf.Tensor) -> float:
    if want.dtype == tf.uint8:
        return _UINT8_MEAN
    return _HALF_PRECISION.get(want.dtype.name, _FLOAT32) * magnitude(want)


def _is_evenly_rounded_map(got: np.ndarray, want: tf.Tensor, distance: float) -> bool:
    is_map = want.dtype == tf.float32 and want.shape.rank > 2
    is_small = distance <= _ROUNDED_MAP * magnitude(want)
    return is_map and is_small and check_output(got, want).correlation >= SAME_MAP
