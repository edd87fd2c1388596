"""Running what was written, the way its runtime does, and comparing it with the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import ExportVerificationError

_TOLERANCE = {"float16": 2e-2, "bfloat16": 5e-2, "uint8": 1.0}


def verify_saved_model(
    folder: Path, model: Any, functions: dict[str, Any], examples: dict[str, dict[str, Any]]
) -> None:
    """Loads a SavedModel into a session and compares its signatures with the functions that they were made of.

    The session restores graph and variables as TensorFlow Serving does. Loading it into Python objects instead would
    also work for models that no server can load.

    Args:
        folder: of the SavedModel.
        model: what it was made of, for its name.
        functions: the signatures, by name.
        examples: for each signature, inputs by name to run it on.

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
        expected = function(*(tf.constant(value) for value in examples[name].values()))
        if set(expected) != set(served[name]):
            raise ExportVerificationError(f"The signature {name!r} has outputs {sorted(served[name])}.")
        for key, value in expected.items():
            _compare(f"{name!r}, output {key!r}", served[name][key], value)


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


def _compare(what: str, got: Any, want: Any) -> None:
    if want.dtype == tf.string:
        # The same pixels make the same file; pixels themselves are compared in the other signatures.
        if not np.array_equal(np.asarray(got), want.numpy()):
            raise ExportVerificationError(f"The exported model differs from the Keras model in {what}.")
        return
    tolerance = _TOLERANCE.get(want.dtype.name, 1e-5)
    want = np.asarray(tf.cast(want, tf.float64))
    got = np.asarray(got).astype(np.float64)
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    difference = float(np.max(np.abs(got - want), initial=0.0)) if got.shape == want.shape else np.inf
    if not difference <= tolerance * scale:
        raise ExportVerificationError(
            f"The exported model differs from the Keras model in {what}: by {difference:.3g}, where "
            f"{tolerance * scale:.3g} is allowed; shapes {got.shape} and {want.shape}."
        )
