"""TensorFlow Lite files: heatmaps on a phone, in a browser, on a microcomputer."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from visualcnn_tf._attach import check_model
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import as_path, bad_value, check_choice, is_count, quoted
from visualcnn_tf.errors import UnsupportedOperationError
from visualcnn_tf.export.examples import example_inputs, first_batch
from visualcnn_tf.export.float32_copy import computes_in_half_precision, float32_copy
from visualcnn_tf.export.report import ExportReport
from visualcnn_tf.export.signatures import exported_inputs, own_inputs, plain_signatures
from visualcnn_tf.export.tflite_operations import IO_DTYPES, count_ops, foreign_ops, outside_xnnpack
from visualcnn_tf.export.tflite_verification import verified
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.io.atomic import check_free, write_file, writing
from visualcnn_tf.ops.exporting import frozen_weights
from visualcnn_tf.pipeline.replay import AT_ONCE

QUANTIZATIONS = (None, "float16", "dynamic", "int8")


def export_tflite(
    explained: Any,
    path: str | os.PathLike[str],
    *,
    batch_size: int | None = 1,
    quantize: str | None = None,
    representative_data: Iterable[Any] | None = None,
    io_dtype: str | None = None,
    full_integer: bool = False,
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
            quarter of the space, activations in float32; ``"int8"``: weights and activations of the model in int8,
            heatmaps of them in float32.
        representative_data: inputs as the model gets them in use, preprocessed: an iterable of batches or examples.
            ``"int8"`` needs some 100 of them to tell the ranges of the activations. Every file is compared with the
            model on the first of them, and without any on noise from 0 to 1. Of an iterator these are used up.
        io_dtype: for ``"int8"``, type of float inputs and outputs: ``"float32"`` (default), ``"int8"`` or ``"uint8"``.
        full_integer: for ``"int8"``, whether the heatmaps are computed in integers, too, for devices without float
            arithmetic. They are coarser then; ``eigen``, class-discriminative methods, callables, uint8 heatmaps and
            ``normalize="minmax"``, whose spans vanish in integers, are refused.
        overwrite: whether an existing file is replaced.
        verify: whether the file is run in the TensorFlow Lite interpreter and compared with the model.

    Returns:
        The report: operations, size, and how near each output is to the model's.

    Raises:
        InvalidArgumentError: for an option that is not allowed, an input of unknown size, or an existing file.
        InputShapeError: for representative data that the model does not take.
        IncompatibleModelError: for anything but a Keras 3 model.
        UnsupportedOperationError: for an operation that is not built into TensorFlow Lite, naming it and its layer.
        PathNotWritableError: when the file can't be written.
        ExportVerificationError: when the file does not give what the model gives.
    """
    check_model(explained)
    check_choice("quantize", quantize, QUANTIZATIONS)
    if batch_size is not None and not is_count(batch_size):
        raise bad_value("batch_size", "a number of at least 1, or None for any", batch_size)
    _check_int8(explained, quantize, representative_data, io_dtype, full_integer)
    path = as_path("path", path)
    check_free(path, overwrite)
    _warn_of_lost_check(explained)
    inputs = _fixed(exported_inputs(explained), batch_size)
    model = float32_copy(explained) if computes_in_half_precision(explained) else explained
    if quantize == "int8" and isinstance(representative_data, Iterable):
        representative_data = list(representative_data)  # read here for an example, and once more for the ranges
    if representative_data is None:
        examples = example_inputs("serving_default", inputs, own_inputs(explained, inputs))
    else:
        examples = first_batch(representative_data, inputs, _class_index(explained))
    with frozen_weights():
        functions = {name: one.get_concrete_function() for name, one in plain_signatures(model, inputs).items()}
    _check_loops(explained, functions["serving_default"].graph)
    if quantize == "int8":
        float32 = convert(model, functions, None)
        content = _integers(float32, model, representative_data, io_dtype or "float32", full_integer)
    else:
        content = convert(model, functions, quantize)
    ops = count_ops(content)
    if foreign_ops(ops):
        raise UnsupportedOperationError(f"The file would hold operations that devices lack: {foreign_ops(ops)}.")
    checks = verified(content, functions["serving_default"], quantize, examples, explained) if verify else {}
    write_file(path, content, overwrite)
    return ExportReport(path, len(content), quantize, ops, outside_xnnpack(ops), checks)


def _check_int8(
    explained: Any, quantize: str | None, representative_data: Any, io_dtype: str | None, full_integer: bool
) -> None:
    if quantize == "int8":
        if representative_data is None:
            raise bad_value(
                "representative_data", "given for quantize='int8'", None, "Pass some 100 inputs, preprocessed."
            )
        check_choice("io_dtype", io_dtype, (None, *IO_DTYPES))
    elif io_dtype is not None:
        raise bad_value("io_dtype", "None unless quantize='int8'", io_dtype)
    if full_integer and quantize != "int8":
        raise bad_value("full_integer", "False unless quantize='int8'", full_integer)
    if full_integer and isinstance(explained, ExplainedModel):
        # With all of a heatmap in integers the others go wrong, silently or loudly: small divisors round to zero.
        methods = [tap.method for tap in explained.taps if not tap.method.supports_integers]
        options = explained.options
        if methods or options.heatmap_dtype != "float32" or options.normalize == "minmax":
            raise bad_value(
                "full_integer",
                "False for callables, 'eigen' and methods that explain a class, types but float32, and 'minmax'",
                {"method": methods, "heatmap_dtype": options.heatmap_dtype, "normalize": options.normalize},
                "Integers take `normalize='max'`, a range or None.",
            )


def _check_loops(explained: Any, graph: Any) -> None:
    again = [tap for tap in getattr(explained, "taps", ()) if tap.method.needs_replay]
    if again and any(operation.type in ("While", "StatelessWhile") for operation in graph.get_operations()):
        raise UnsupportedOperationError(
            f"{quoted({tap.method.name for tap in again})} would run the model in a loop, which XNNPACK can't. Use "
            f"`batch_size=1` and at most {AT_ONCE} runs: `max_channels`, or for 'reciprocam' a deeper layer."
        )


def _warn_of_lost_check(explained: Any) -> None:
    if isinstance(explained, ExplainedModel) and explained.options.check_numerics:
        warnings.warn(
            "`check_numerics` vanishes in TensorFlow Lite: an image with NaN or infinite activations gets an all-zero "
            "heatmap there.",
            stacklevel=3,
        )


def _class_index(explained: Any) -> str | None:
    return explained.plan.class_index if isinstance(explained, ExplainedModel) and explained.plan else None


def _integers(float32: bytes, model: Any, data: Any, io_dtype: str, full_integer: bool) -> bytes:
    """The content of an int8 file made of a float32 one."""
    # It stands on parts of TensorFlow that are not public: nothing else may fail where they have moved.
    from visualcnn_tf.export.tflite_int8 import quantize_int8

    heatmaps = model.explanation_names if isinstance(model, ExplainedModel) and not full_integer else []
    return quantize_int8(float32, data, heatmaps, io_dtype, _class_index(model))


def convert(model: Any, functions: dict[str, Any], quantize: str | None) -> bytes:
    """The content of a TensorFlow Lite file with these signatures of a float32 model.

    Raises:
        UnsupportedOperationError: for an operation that is not built into TensorFlow Lite.
    """
    module = tf.Module()
    # As for SavedModels: of Keras's own tracking a converter would make variables that nobody initializes.
    module.variables_of_the_model = [variable.value for variable in model.variables]
    with tempfile.TemporaryDirectory() as folder:
        with writing(Path(folder)):
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
            raise _named(error, _fallbacks(model)) from None
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


def _fallbacks(model: Any) -> tuple[tuple[str, str], ...]:
    return model.plan.fallbacks if isinstance(model, ExplainedModel) and model.plan else ()


def _named(error: Exception, fallbacks: Sequence[tuple[str, str]]) -> UnsupportedOperationError:
    """The converter's error in few sentences, with the operation and the layer that it came from."""
    text = str(error)
    found = re.search(r'loc\(.*?"([^"]*)".*?error: \'tf\.(\w+)\' op', text, re.DOTALL)
    operation = found.group(2) if found else (re.findall(r"tf\.(\w+)\(", text) or ["unknown"])[0]
    places = re.findall(r'"([\w/.\-:@;>]+/[\w/.\-]+)', found.group(0) if found else text)
    layer = f" in {places[-1]!r}" if places else ""
    return UnsupportedOperationError(
        f"The operation {operation!r}{layer} is not built into TensorFlow Lite, and this file would need more than "
        "builtin operations. Use another fusion or layer there, or write it with other TensorFlow operations."
        + _blame(fallbacks)
    )


def _blame(fallbacks: Sequence[tuple[str, str]]) -> str:
    if not fallbacks:
        return ""
    found = ", ".join(f"{kind!r} in {name!r}" for kind, name in fallbacks)
    return (
        f" The way back from the score leads through {found}, whose gradient is TensorFlow's own: tap a layer after "
        "it, or use a method without gradients, such as 'reciprocam'."
    )
