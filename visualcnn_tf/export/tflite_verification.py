"""Running a TensorFlow Lite file, and comparing it with the model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.comparison import OutputCheck, check_output
from visualcnn_tf.export.saved_model_verification import ROOM, SAME_MAP, differs_by, nudged
from visualcnn_tf.export.tflite_interpreter import interpreter

# What a correct file differs by at most, relative to the largest value of an output.
_TOLERANCE = {None: 1e-4, "float16": 2e-2, "dynamic": 0.5}
_COLOURS = 8.0
# Integers cost a deep network accuracy, which only the report can judge; below this an output is simply wrong.
_LOWEST_CORRELATION = 0.5
# As in SavedModels, but up to so many times the tolerance, which is larger here.
_DEEP, _SAME_MAP = 10.0, {None: SAME_MAP, "float16": 0.99}


def verified(
    content: bytes, function: Any, quantize: str | None, examples: dict[str, Any], explained: Any
) -> dict[str, OutputCheck]:
    """Runs the file on examples, and compares it with the function that it was made of.

    Raises:
        ExportVerificationError: naming the output that differs by more than the file's types explain.
    """
    runner = interpreter(content).get_signature_runner("serving_default")
    given, returned = runner.get_input_details(), runner.get_output_details()
    got = runner(**{name: _in_integers(value, given[name]) for name, value in examples.items()})
    want = function(*map(tf.constant, examples.values()))
    moved = function(*map(tf.constant, nudged(examples).values()))
    checks = {name: check_output(_from_integers(got[name], returned[name]), value) for name, value in want.items()}
    unsteady = _explanations_of_classes(explained) if quantize else set()
    for name, check in checks.items():
        if name not in unsteady or not np.isfinite(check.max_difference):
            _judge(name, check, want[name], moved[name], quantize)
    classes = explained.plan.classes if unsteady else None
    if classes is None or not checks[classes].max_difference:
        _warn_of_strangers({name: checks[name] for name in sorted(unsteady - {classes})})
    return checks


def _explanations_of_classes(explained: Any) -> set[str]:
    """Outputs that rounding may change at will: another class may win, and evidence that is nearly none move."""
    if not isinstance(explained, ExplainedModel) or explained.plan is None or not explained.plan.explains_target:
        return set()
    agnostic = {tap.key for tap in explained.taps if not tap.method.explains_target}
    return set(explained.explanation_names) - agnostic


def _warn_of_strangers(checks: Mapping[str, OutputCheck]) -> None:
    for name, check in checks.items():
        if check.correlation < _LOWEST_CORRELATION:
            warnings.warn(
                f"{name!r} correlates by {check.correlation:.2f} with the model's on the example that was tried. Where "
                "there is little evidence for the class, rounding moves it: compare more images, or quantize less.",
                stacklevel=4,
            )


def _judge(name: str, check: OutputCheck, value: Any, moved: Any, quantize: str | None) -> None:
    if quantize == "int8":
        right, limit = check.correlation >= _LOWEST_CORRELATION, f"a correlation of {_LOWEST_CORRELATION}"
    else:
        scale = max(1.0, float(np.abs(np.asarray(value, np.float64)).max(initial=0.0)))
        allowed = _TOLERANCE[quantize] * scale + ROOM * differs_by(moved, value)
        if value.dtype == tf.uint8:
            # Pictures: where a heatmap falls half-way between two colors, its neighbor may be taken.
            allowed += _COLOURS if value.shape.rank == 4 else 1.0
        right, limit = check.max_difference <= allowed, f"a difference of {allowed:.3g}"
        if quantize in _SAME_MAP and value.dtype.is_floating and value.shape.rank > 2:
            least = _SAME_MAP[quantize]
            right = right or (check.max_difference <= _DEEP * allowed and check.correlation >= least)
            limit += f", or {_DEEP:.0f} times that with a correlation of {least},"
    if not right:
        raise ExportVerificationError(
            f"The TensorFlow Lite file differs from the model in {name!r}: difference {check.max_difference:.3g}, "
            f"correlation {check.correlation:.3g}, where {limit} is allowed. `verify=False` writes it nevertheless."
        )


def _in_integers(value: Any, details: Any) -> Any:
    scale, zero = details["quantization"]
    if not scale or value.dtype == details["dtype"]:
        return value
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(details["dtype"])


def _from_integers(value: Any, details: Any) -> Any:
    scale, zero = details["quantization"]
    return (value.astype(np.float32) - zero) * scale if scale else value
