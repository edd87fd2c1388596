"""Verify a written SavedModel: load it the way TensorFlow Serving does, run it, and compare it with the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.comparison import Comparison, nudged
from visualcnn_tf.export.image_decoder import ImageDecoder
from visualcnn_tf.export.limits import SAME_MAP
from visualcnn_tf.export.output_roles import output_roles
from visualcnn_tf.export.serving_bytes import ServingBytes
from visualcnn_tf.export.signatures import exported_inputs
from visualcnn_tf.export.types import Arrays, Signature
from visualcnn_tf.export.verification import arrays_of, compare_outputs, pixels
from visualcnn_tf.export.verification_examples import Examples

# Allowed differences: relative to the largest value of an output by type, and for uint8 as a mean over all values.
_FLOAT32, _HALF_PRECISION = 1e-5, {"float16": 2e-2, "bfloat16": 5e-2}
_UINT8_MEAN = 0.5
# Rounding moves the maps of a deep network by more than that, but evenly: a map that correlates with the model's by
# `SAME_MAP` may differ by this much.
_ROUNDED_MAP = 1e-3
_AT_ONCE = 8  # examples, where a signature takes any number: more fill the memory with heatmaps

#: From the name of a signature and its inputs by name to its outputs by name.
Served: TypeAlias = Callable[[str, Arrays], Arrays]


def verify_saved_model(
    folder: Path,
    model: keras.Model,
    functions: Mapping[str, Signature],
    examples: Mapping[str, Examples],
    serving_bytes: ServingBytes | None,
) -> None:
    """Raise unless a SavedModel returns what the signatures it was made from return.

    It is loaded into a session, which restores the graph and the variables as TensorFlow Serving does. Loading it into
    Python objects instead would also succeed for models that no server can load.

    Args:
        folder: The folder of the SavedModel.
        model: The model that was exported; its name appears in errors.
        functions: The signatures that were exported, by name.
        examples: The inputs to run each signature on, by the name of the signature.
        serving_bytes: How the signature of that name treats images; None if it is not exported.

    Raises:
        ExportVerificationError: If the SavedModel does not run, or an output differs; names signature, output and
            example.
    """
    roles, batch_size = output_roles(model), exported_inputs(model).specs[0].shape[0]
    decoder = serving_bytes.decoder if serving_bytes else None
    with _session(folder, model.name) as served:
        for name, function in functions.items():
            compared = compare_outputs(
                partial(served, name),
                partial(_run, function),
                examples[name],
                batch_size or min(_AT_ONCE, len(examples[name])),
                roles,
                _FLOAT32,
                partial(_outputs_for_nudged, name, functions, decoder),
            )
            for key, comparison in compared.items():
                _judge(f"{name!r}, output {key!r}", comparison, examples[name])


def _run(function: Signature, examples: Arrays) -> Arrays:
    return arrays_of(function(*map(tf.constant, examples.values())))


def _outputs_for_nudged(
    name: str, functions: Mapping[str, Signature], decoder: ImageDecoder | None, examples: Arrays
) -> Arrays:
    """Return the outputs of a signature for nudged examples; encoded images are nudged after decoding."""
    if name == "serving_bytes":
        images, _ = tf.function(decoder, autograph=False)(tf.constant(examples["image_bytes"]))
        # Signatures are called by position, and in both of these the images come first.
        name, examples = "serving_default", {**examples, "image_bytes": images.numpy()}
    return _run(functions[name], nudged(examples))


@contextmanager
def _session(folder: Path, model_name: str) -> Iterator[Served]:
    """Load a SavedModel, and yield what runs its signatures.

    Raises:
        ExportVerificationError: If it cannot be loaded, or a signature does not run.
    """
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)

    def run(name: str, feed: Arrays) -> Arrays:
        signature = meta_graph.signature_def[name]
        fetches = {key: info.name for key, info in signature.outputs.items()}
        with _running(model_name):
            outputs = session.run(fetches, {signature.inputs[key].name: value for key, value in feed.items()})
        return {key: pixels(value) if value.dtype == object else value for key, value in outputs.items()}

    try:
        with graph.as_default(), _running(model_name), _without_deprecation_log():
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        yield run
    finally:
        session.close()


@contextmanager
def _running(model_name: str) -> Iterator[None]:
    """Turn whatever the session raises into our error."""
    try:
        yield
    except Exception as error:
        raise ExportVerificationError(
            f"The SavedModel of {model_name!r} does not run outside of Python: {error}"
        ) from error


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


def _judge(what: str, found: Comparison, examples: Examples) -> None:
    """Raise if an output differs from the model's by more than rounding explains.

    Args:
        what: The signature and the name of the output, for the error.
        found: How the output compares with the model's.
        examples: The examples that it was compared on.
    """
    is_uint8 = found.dtype == np.uint8
    distance = found.mean_difference if is_uint8 else found.difference
    relative = _HALF_PRECISION.get(found.dtype.name, _FLOAT32)
    allowed = found.rounding + (_UINT8_MEAN if is_uint8 else relative * found.magnitude)
    is_right = (distance <= allowed) | ~found.counts
    if found.dtype == np.float32 and len(found.shape) > 1:
        is_right |= (distance <= _ROUNDED_MAP * found.magnitude) & (found.correlation >= SAME_MAP)
    if is_right.all():
        return
    worst = int(np.argmax(np.where(is_right, -np.inf, distance - allowed)))
    index = None if examples.indices is None else examples.indices[worst]
    error = ExportVerificationError(
        f"The exported model differs from the Keras model in {what}, example {worst if index is None else index} of "
        f"{'noise' if index is None else 'yours'}: by {distance[worst]:.3g}, where {allowed[worst]:.3g} is allowed."
    )
    error.example = index
    raise error
