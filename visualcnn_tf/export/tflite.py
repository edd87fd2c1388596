"""TensorFlow Lite files: heatmaps on a phone, in a browser, on a microcomputer."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf._atomic import write_file
from visualcnn_tf._checks import bad_value, check_choice, is_count
from visualcnn_tf.attach import check_model
from visualcnn_tf.errors import ExportVerificationError, UnsupportedOperationError
from visualcnn_tf.explained_model import ExplainedModel
from visualcnn_tf.export.report import (
    ExportReport,
    OutputCheck,
    check_output,
    count_ops,
    foreign_ops,
    interpreter,
    outside_xnnpack,
)
from visualcnn_tf.export.signatures import exported_inputs, plain_signatures
from visualcnn_tf.export.twin import computes_in_half_precision, float32_twin
from visualcnn_tf.inputs import ModelInputs

QUANTIZATIONS = (None, "float16", "dynamic")
# What a correct file differs by at most, relative to the largest value of an output.
_TOLERANCE = {None: 1e-4, "float16": 2e-2, "dynamic": 0.5}


def export_tflite(
    explained: Any,
    path: str | os.PathLike[str],
    *,
    batch_size: int | None = 1,
    quantize: str | None = None,
    overwrite: bool = False,
    verify: bool = True,
) -> ExportReport:
    """Writes a TensorFlow Lite file of builtin operations only, which every TensorFlow Lite runtime can run.

    Its signatures share the weights: ``serving_default``, the model's inputs by name to all outputs by name, and
    ``predict``, to the predictions alone. Go by these names: a file keeps no order.

    A mixed-precision model is written as its float32 twin, with the same weights: TensorFlow Lite has no
    half-precision convolutions.

    Example:
        >>> print(vc.export_tflite(explained, "digits.tflite"))    # doctest: +SKIP

    Args:
        explained: what ``attach`` returned; a plain Keras model is exported without heatmaps.
        path: the file to write.
        batch_size: fixed number of examples in each call, which is what delegates and browsers need; None for any.
        quantize: None for float32; ``"float16"``: weights in half the space; ``"dynamic"``: weights in int8, a
            quarter of the space, activations in float32.
        overwrite: whether an existing file is replaced.
        verify: whether the file is run in the TensorFlow Lite interpreter and compared with the model.

    Returns:
        The report: operations, size, and how near each output is to the model's.

    Raises:
        InvalidArgumentError: for an option that is not allowed, an input of unknown size, or an existing file.
        UnsupportedOperationError: for an operation that is not built into TensorFlow Lite, naming it and its layer.
        ExportVerificationError: when the file does not give what the model gives.
    """
    check_model(explained)
    check_choice("quantize", quantize, QUANTIZATIONS)
    if batch_size is not None and not is_count(batch_size):
        raise bad_value("batch_size", "a number of at least 1, or None for any", batch_size)
    path = Path(path)
    if path.exists() and not overwrite:
        raise bad_value("path", "a path that does not exist yet", str(path), "Pass `overwrite=True` to replace it.")
    if isinstance(explained, ExplainedModel) and explained.options.check_numerics:
        warnings.warn(
            "`check_numerics` vanishes in TensorFlow Lite: an image with NaN or infinite activations gets an all-zero "
            "heatmap there.",
            stacklevel=2,
        )
    inputs = _fixed(exported_inputs(explained), batch_size)
    model = float32_twin(explained) if computes_in_half_precision(explained) else explained
    content = convert(model, inputs, quantize)
    ops = count_ops(content)
    if foreign_ops(ops):
        raise UnsupportedOperationError(f"The file would hold operations that devices lack: {foreign_ops(ops)}.")
    checks = _verified(content, model, inputs, quantize) if verify else {}
    write_file(path, content)
    return ExportReport(path, len(content), quantize, ops, outside_xnnpack(ops), checks)


def convert(model: Any, inputs: ModelInputs, quantize: str | None) -> bytes:
    """The content of a TensorFlow Lite file for a float32 model.

    Raises:
        UnsupportedOperationError: for an operation that is not built into TensorFlow Lite.
    """
    functions = plain_signatures(model, inputs)
    module = tf.Module()
    # As for SavedModels: of Keras's own tracking a converter would make variables that nobody initialises.
    module.variables_of_the_model = [variable.value for variable in model.variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            content: bytes = converter.convert()
        except Exception as error:
            raise _named(error) from None
    return content


def _fixed(inputs: ModelInputs, batch_size: int | None) -> ModelInputs:
    """The inputs with a fixed batch."""
    for spec in inputs.specs:
        if None in spec.shape[1:]:
            raise bad_value(
                "explained",
                "a model of known input sizes",
                f"the input {spec.name!r} with shape {spec.shape}",
                "Fix what is None with `attach(model, input_shape=...)`, such as (224, 224, 3).",
            )
    return ModelInputs(
        inputs.structure, tuple(replace(spec, shape=(batch_size, *spec.shape[1:])) for spec in inputs.specs)
    )


def _named(error: Exception) -> UnsupportedOperationError:
    """The converter's error in one sentence, with the operation and the layer that it came from."""
    text = str(error)
    found = re.search(r'loc\(.*?"([^"]*)".*?error: \'tf\.(\w+)\' op', text, re.DOTALL)
    operation = found.group(2) if found else (re.findall(r"tf\.(\w+)\(", text) or ["unknown"])[0]
    places = re.findall(r'"([\w/.\-:@;>]+/[\w/.\-]+)', found.group(0) if found else text)
    layer = f" in {places[-1]!r}" if places else ""
    return UnsupportedOperationError(
        f"The operation {operation!r}{layer} is not built into TensorFlow Lite, and this file would need more than "
        "builtin operations. Use another fusion or layer there, or write it with other TensorFlow operations."
    )


def _verified(content: bytes, model: Any, inputs: ModelInputs, quantize: str | None) -> dict[str, OutputCheck]:
    runner = interpreter(content).get_signature_runner("serving_default")
    worst: dict[str, OutputCheck] = {}
    for feeds in _examples(inputs):
        got = runner(**feeds)
        want = plain_signatures(model, inputs)["serving_default"](*map(tf.constant, feeds.values()))
        for name, value in want.items():
            worst[name] = check_output(got[name], value)
            scale = max(1.0, float(np.abs(np.asarray(value, np.float64)).max(initial=0.0)))
            allowed = _TOLERANCE[quantize] * scale + (1.0 if value.dtype == tf.uint8 else 0.0)
            if not worst[name].max_difference <= allowed:
                raise ExportVerificationError(
                    f"The TensorFlow Lite file differs from the model in {name!r} by "
                    f"{worst[name].max_difference:.3g}, where {allowed:.3g} is allowed."
                )
    return worst


def _examples(inputs: ModelInputs) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    yield {spec.name: rng.uniform(0, 1, [n or 1 for n in spec.shape]).astype(spec.dtype) for spec in inputs.specs}
