"""Verify a TensorFlow Lite file: run it in the interpreter, and compare its outputs with those of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf.export.examples import batch_size
from visualcnn_tf.export.limits import LIMITS, Demands
from visualcnn_tf.export.output_check import OutputCheck, sum_up
from visualcnn_tf.export.output_roles import output_roles
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_judgment import Judge
from visualcnn_tf.export.types import Arrays, Signature
from visualcnn_tf.export.verification import Runner, arrays_of, compare_outputs
from visualcnn_tf.export.verification_examples import Examples
from visualcnn_tf.introspect.inputs import ModelInputs

# Scores of classes, or of detections, that differ by more, relative to the largest, are not taken for equal.
_LARGEST_TIE = 2e-2


def verify_tflite(
    content: bytes,
    function: Signature,
    quantize: str | None,
    examples: Examples,
    inputs: ModelInputs,
    explained: keras.Model,
    demands: Demands,
) -> dict[str, OutputCheck]:
    """Run a file on examples, and compare its outputs with those of the function that it was made from.

    Args:
        content: The content of the TensorFlow Lite file.
        function: Its signature ``serving_default`` in TensorFlow, before conversion.
        quantize: How the file was quantized; decides how much outputs may differ.
        examples: The inputs by name, in the order in which ``function`` takes them.
        inputs: The inputs of the file.
        explained: The exported model.
        demands: What the user asks of the file.

    Returns:
        How closely each output matches the model's, by name.

    Raises:
        ExportVerificationError: If an output differs by more than is allowed; names the output and the example.
    """
    roles, limits = output_roles(explained), LIMITS[quantize]
    compared = compare_outputs(
        _runner(content),
        lambda batch: arrays_of(function(*map(tf.constant, batch.values()))),
        examples,
        batch_size(inputs),
        roles,
        min(limits.difference or _LARGEST_TIE, _LARGEST_TIE),
    )
    judge = Judge(limits, demands, roles, examples.indices)
    for name, comparison in compared.items():
        judge(name, comparison)
    return {name: sum_up(comparison, name in roles.maps) for name, comparison in compared.items()}


def _runner(content: bytes) -> Runner:
    """Return what runs ``serving_default`` for real numbers, and returns real numbers."""
    runner = interpreter(content).get_signature_runner("serving_default")
    inputs, outputs = runner.get_input_details(), runner.get_output_details()

    def run(examples: Arrays) -> Arrays:
        got = runner(**{name: _quantized(value, inputs[name]) for name, value in examples.items()})
        return {name: _dequantized(value, outputs[name]) for name, value in got.items()}

    return run


def _quantized(value: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    """Return real numbers as the integers that an input takes; as they are if it takes floats."""
    scale, zero = details["quantization"]
    if not scale or value.dtype == details["dtype"]:
        return value
    limits = np.iinfo(details["dtype"])
    integers: np.ndarray = np.clip(np.round(value / scale) + zero, limits.min, limits.max)
    return integers.astype(details["dtype"])


def _dequantized(value: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    """Return the integers of an output as real numbers; as they are if it holds floats."""
    scale, zero = details["quantization"]
    return (value.astype(np.float32) - zero) * scale if scale else value
