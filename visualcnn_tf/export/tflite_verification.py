"""Verify a TensorFlow Lite file: run it in the interpreter, and compare its outputs with those of the model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.comparison import (
    SAME_MAP,
    OutputCheck,
    check_output,
    magnitude,
    nudged,
    rounding_tolerance,
)
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.types import Arrays, Signature

# How much a correct file may differ, relative to the largest value of an output.
_TOLERANCE = {None: 1e-4, "float16": 2e-2, "dynamic": 0.5}
# What is added to that for uint8, of 255: where a heatmap falls halfway between two colors of an overlay, the
# neighboring color may be taken.
_UINT8_MAP, _UINT8_OVERLAY = 1.0, 8.0
# int8 costs a deep network accuracy that only a reader of the report can judge; below this an output is simply wrong.
_LOWEST_CORRELATION = 0.5
# Rounding moves the maps of a deep network by more, but evenly: a map that correlates with the model's by this much may
# differ by so many times the tolerance.
_DEEP, _SAME_MAP = 10.0, {None: SAME_MAP, "float16": 0.99}


def verify_tflite(
    content: bytes,
    function: Signature,
    quantize: str | None,
    examples: Arrays,
    explained: keras.Model,
) -> dict[str, OutputCheck]:
    """Run a file on examples, and compare its outputs with those of the function that it was made from.

    Args:
        content: The content of the TensorFlow Lite file.
        function: Its signature ``serving_default`` in TensorFlow, before conversion.
        quantize: How the file was quantized; decides how much outputs may differ.
        examples: Input arrays by name, in the order in which ``function`` takes them.
        explained: The exported model.

    Returns:
        How closely each output matches the model's, by name.

    Raises:
        ExportVerificationError: If an output differs by more than the types of the file explain; names the output.
    """
    got = _run(content, examples)
    want = function(*map(tf.constant, examples.values()))
    nudged_want = function(*map(tf.constant, nudged(examples).values()))
    checks = {name: check_output(got[name], value) for name, value in want.items()}
    unstable = _class_explanations(explained) if quantize else set()
    for name, check in checks.items():
        if name not in unstable or not np.isfinite(check.max_difference):
            _judge(name, check, want[name], nudged_want[name], quantize)
    if unstable:
        _warn_of_low_correlations(checks, unstable, explained.plan.classes)
    return checks


def _run(content: bytes, examples: Arrays) -> Arrays:
    """Return the outputs of ``serving_default`` for real numbers, as real numbers."""
    runner = interpreter(content).get_signature_runner("serving_default")
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    got = runner(**{name: _quantized(value, inputs[name]) for name, value in examples.items()})
    return {name: _dequantized(value, outputs[name]) for name, value in got.items()}


def _class_explanations(explained: keras.Model) -> set[str]:
    """Return the names of the outputs that depend on which class is explained.

    They may change completely in a quantized file: rounding may make another class win, and where there is almost no
    evidence for a class, rounding moves it anywhere.
    """
    if not isinstance(explained, ExplainedModel) or explained.plan is None or not explained.plan.explains_target:
        return set()
    agnostic = {tap.key for tap in explained.taps if not tap.method.explains_target}
    return set(explained.explanation_names) - agnostic


def _warn_of_low_correlations(checks: Mapping[str, OutputCheck], unstable: set[str], classes: str | None) -> None:
    """Warn of explanations that differ although the file explains the same class as the model."""
    if classes is not None and checks[classes].max_difference:
        return
    for name in sorted(unstable - {classes}):
        if checks[name].correlation < _LOWEST_CORRELATION:
            warnings.warn(
                f"{name!r} correlates by {checks[name].correlation:.2f} with the model's on the example that was "
                "tried. Where there is little evidence for the class, rounding moves it: compare more images, or "
                "quantize less.",
                stacklevel=4,
            )


def _judge(name: str, check: OutputCheck, want: tf.Tensor, nudged_want: tf.Tensor, quantize: str | None) -> None:
    """Raise if an output differs from the model's by more than ``quantize`` explains."""
    if quantize == "int8":
        is_right, limit = check.correlation >= _LOWEST_CORRELATION, f"a correlation of {_LOWEST_CORRELATION}"
    else:
        is_right, limit = _is_within_tolerance(check, want, nudged_want, quantize)
    if not is_right:
        raise ExportVerificationError(
            f"The TensorFlow Lite file differs from the model in {name!r}: difference {check.max_difference:.3g}, "
            f"correlation {check.correlation:.3g}, where {limit} is allowed. `verify=False` writes it nevertheless."
        )


def _is_within_tolerance(
    check: OutputCheck, want: tf.Tensor, nudged_want: tf.Tensor, quantize: str | None
) -> tuple[bool, str]:
    """Return whether an output is within the tolerance, and the tolerance in words."""
    allowed = _TOLERANCE[quantize] * magnitude(want) + rounding_tolerance(want, nudged_want)
    if want.dtype == tf.uint8:
        allowed += _UINT8_OVERLAY if want.shape.rank == 4 else _UINT8_MAP
    is_right, limit = check.max_difference <= allowed, f"a difference of {allowed:.3g}"
    if quantize in _SAME_MAP and want.dtype.is_floating and want.shape.rank > 2:
        correlation = _SAME_MAP[quantize]
        is_right = is_right or (check.max_difference <= _DEEP * allowed and check.correlation >= correlation)
        limit += f", or {_DEEP:.0f} times that with a correlation of {correlation},"
    return is_right, limit


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
