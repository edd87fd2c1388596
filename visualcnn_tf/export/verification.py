"""Run an exported file and the model on examples, batch by batch, and compare all outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.comparison import Comparison, compare, nudged
from visualcnn_tf.export.detections import in_the_models_order
from visualcnn_tf.export.output_roles import OutputRoles
from visualcnn_tf.export.representative_data import in_batches
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.export.verification_examples import Examples

#: From inputs by name to outputs by name.
Runner: TypeAlias = Callable[[Arrays], Arrays]


def compare_outputs(
    run: Runner,
    model: Runner,
    examples: Examples,
    batch_size: int,
    roles: OutputRoles,
    tolerance: float,
    run_nudged: Runner | None = None,
) -> dict[str, Comparison]:
    """Return how each output of an exported file compares with the model's.

    Args:
        run: Runs the file.
        model: Runs the model.
        examples: The inputs.
        batch_size: How many of them are run at once.
        roles: What the outputs are.
        tolerance: How much the scores of classes, and of detections, may differ by rounding, relative to the largest.
        run_nudged: Runs the model on nudged inputs, given the inputs; by default nudges all floats.

    Raises:
        ExportVerificationError: If the file has other outputs, or outputs of other shapes.
    """
    found: dict[str, list[Comparison]] = {}
    for batch in in_batches(examples.arrays, batch_size):
        got, want = run(batch), model(batch)
        nudged_want = {**want, **(run_nudged(batch) if run_nudged else model(nudged(batch)))}
        _check_names_and_shapes(got, want)
        for name, comparison in _compare_batch(got, want, nudged_want, roles, tolerance).items():
            found.setdefault(name, []).append(comparison)
    return {name: Comparison.joined(parts, len(examples)) for name, parts in found.items()}


def arrays_of(tensors: Mapping[str, tf.Tensor]) -> Arrays:
    """Return tensors as arrays; pictures in PNG files as their pixels."""
    return {name: pixels(tensor) if tensor.dtype == tf.string else tensor.numpy() for name, tensor in tensors.items()}


def pixels(files: tf.Tensor | np.ndarray) -> np.ndarray:
    """Return the pixels of PNG files of one size, ``(B, H, W, C)`` uint8."""
    return np.stack([tf.io.decode_png(file).numpy() for file in np.asarray(files)])


def _check_names_and_shapes(got: Arrays, want: Arrays) -> None:
    if set(got) != set(want):
        raise ExportVerificationError(f"The exported file has outputs {sorted(got)}, the model {sorted(want)}.")
    for name, array in want.items():
        if got[name].shape != array.shape:
            raise ExportVerificationError(
                f"The exported file has an output {name!r} of shape {got[name].shape}, the model of {array.shape}."
            )


def _compare_batch(
    got: Arrays, want: Arrays, nudged_want: Arrays, roles: OutputRoles, tolerance: float
) -> dict[str, Comparison]:
    predictions = [name for name in want if name not in roles.maps and name != roles.classes]
    got = in_the_models_order(got, want, predictions, tolerance)
    nudged_want = in_the_models_order(nudged_want, want, predictions, tolerance)
    compared = {}
    for name, array in want.items():
        comparison = compare(got[name], array, nudged_want[name], has_classes=name not in roles.maps)
        same = roles.explains_the_same(name, got, want)
        if same is not None:
            comparison = replace(comparison, counts=same)
        if name == roles.classes:
            rounding = np.where(roles.tied(got, want, tolerance), np.inf, comparison.rounding)
            comparison = replace(comparison, rounding=rounding)
        compared[name] = comparison
    return compared
