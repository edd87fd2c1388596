"""Export TensorFlow Lite files: heatmaps on a phone, in a browser, or on a single-board computer."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace

import keras
import tensorflow as tf

from visualcnn_tf._attach import check_model
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import as_path, bad_value, quoted
from visualcnn_tf.errors import UnsupportedOperationError
from visualcnn_tf.export.float32_copy import computes_in_half_precision, float32_copy
from visualcnn_tf.export.limits import Demands
from visualcnn_tf.export.pixels import check_examples, exported_pixels
from visualcnn_tf.export.report import ExportReport
from visualcnn_tf.export.representative_data import RepresentativeData
from visualcnn_tf.export.signatures import exported_inputs, target_inputs_of, tflite_signatures, without_target_inputs
from visualcnn_tf.export.tflite_converter import convert
from visualcnn_tf.export.tflite_operations import count_ops, foreign_ops, outside_xnnpack
from visualcnn_tf.export.tflite_options import Int8Options, check_options
from visualcnn_tf.export.tflite_verification import verify_tflite
from visualcnn_tf.export.types import Signature
from visualcnn_tf.export.verification_examples import MAX_EXAMPLES, Examples, first_examples, noise, spread_examples
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.io.atomic import check_free, write_file
from visualcnn_tf.ops.exporting import frozen_weights
from visualcnn_tf.pipeline.replay import AT_ONCE
from visualcnn_tf.pixels.files import with_pixels
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.pixels.registry import PixelsLike


def export_tflite(
    explained: keras.Model,
    path: str | os.PathLike[str],
    *,
    batch_size: int | None = 1,
    quantize: str | None = None,
    representative_data: RepresentativeData | None = None,
    io_dtype: str | None = None,
    full_integer: bool = False,
    pixels: PixelsLike | None = None,
    overwrite: bool = False,
    verify: bool = True,
    max_examples: int = MAX_EXAMPLES,
    min_correlation: float | None = None,
    min_agreement: float | None = None,
) -> ExportReport:
    """Write a TensorFlow Lite file of builtin operations only, which every TensorFlow Lite runtime can run.

    It has two signatures that share the weights: ``serving_default``, from the model's inputs to all outputs, and
    ``predict``, from the same inputs to the predictions alone. Use the names of inputs and outputs: a file does not
    keep their order.

    Of a mixed-precision model a float32 copy is exported, with the same weights: TensorFlow Lite has no half-precision
    convolutions.

    Example:
        >>> print(vc.export_tflite(explained, "digits.tflite"))    # doctest: +SKIP

    Args:
        explained: The model that ``attach`` returned. A plain Keras model is exported without heatmaps.
        path: The file to write.
        batch_size: The fixed number of examples in each call, which delegates and browsers need; None for any number.
        quantize: None for float32. ``"float16"``: weights in half the space. ``"dynamic"``: weights in int8, a
            quarter of the space, and activations in float32. ``"int8"``: weights and activations of the model in int8,
            and the heatmaps computed from them in float32.
        representative_data: Inputs as the model gets them in use, preprocessed, in any form that ``predict`` or
            TensorFlow Lite takes: arrays (of several inputs dicts by name or lists), or an iterable of batches or
            single examples, which may be tuples such as ``(x, y)``. ``"int8"`` needs about 100 of them to find the
            ranges of the activations. Every file is compared with the model on ``max_examples`` of them, and
            otherwise on noise. Of an iterator these are used up.
        io_dtype: For ``"int8"``, the type of float inputs and outputs: ``"float32"`` (default), ``"int8"`` or
            ``"uint8"``.
        full_integer: For ``"int8"``, whether to compute the heatmaps in integers, too, for devices without
            floating-point arithmetic. The heatmaps are coarser then. Not possible with ``eigen``, class-discriminative
            methods, callables, uint8 or float16 heatmaps, and ``normalize="minmax"``, which divides by ranges that
            round to zero.
        pixels: What the model takes where a photo has pixels of 0 to 255, as in ``attach``; by default
            ``explained.pixels``, which a name must not contradict. Where it is known it is written into the file:
            ``read_pixels`` returns it, and so the page of ``visualcnn web`` knows it.
        overwrite: Whether to replace an existing file.
        verify: Whether to run the file in the TensorFlow Lite interpreter and compare it with the model.
        max_examples: On how many examples of ``representative_data`` it is compared at most: the first ones, or with
            ``"int8"``, which reads all of them, evenly spread ones.
        min_correlation: The lowest correlation with the model's heatmaps, -1 to 1, on any example. By default that of a
            quantized file must be at least 0.5 on each of your examples and 0.9 on 95 % of them, and a float32 file may
            differ by rounding alone.
        min_agreement: The least share, 0 to 1, of the examples for which file and model predict the same class. By
            default 0.9 for a quantized file, on your examples.

    Returns:
        A report: the size, the operations, and how closely each output matches the model's.

    Raises:
        InvalidArgumentError: If an option is not allowed or would have no effect, an input has an unknown size, or the
            file exists.
        InputShapeError: If the model does not take the representative data.
        IncompatibleModelError: If ``explained`` is not a Keras 3 model.
        UnsupportedOperationError: If an operation is not built into TensorFlow Lite; names it and its layer.
        PathNotWritableError: If the file cannot be written.
        ExportVerificationError: If the outputs of the file differ from those of the model.
    """
    check_model(explained)
    int8 = Int8Options(representative_data, io_dtype, full_integer)
    demands = Demands(max_examples, min_correlation, min_agreement)
    check_options(explained, batch_size, quantize, int8, verify, demands)
    path = as_path("path", path)
    check_free(path, overwrite)
    _warn_that_check_is_lost(explained)
    user_inputs = without_target_inputs(explained, exported_inputs(explained))
    known = exported_pixels(explained, pixels, user_inputs)
    inputs = with_batch_size(exported_inputs(explained), batch_size)
    if quantize == "int8":
        int8 = int8.read(inputs, target_inputs_of(explained))
    examples = _verification_examples(explained, inputs, int8, max_examples, known)
    content, original = _converted(explained, inputs, quantize, int8)
    content = content if known is None else with_pixels(content, known)
    ops = count_ops(content)
    if foreign_ops(ops):
        raise UnsupportedOperationError(f"The file would hold operations that devices lack: {foreign_ops(ops)}.")
    checks = verify_tflite(content, original, quantize, examples, inputs, explained, demands) if verify else {}
    write_file(path, content, overwrite)
    compared = (len(examples), examples.indices is None)
    return ExportReport(path, len(content), quantize, ops, outside_xnnpack(ops), checks, *compared)


def _converted(
    explained: keras.Model, inputs: ModelInputs, quantize: str | None, int8: Int8Options
) -> tuple[bytes, Signature]:
    """Return the content of the file, and its signature ``serving_default`` in TensorFlow."""
    model = float32_copy(explained) if computes_in_half_precision(explained) else explained
    with frozen_weights():
        functions = {name: one.get_concrete_function() for name, one in tflite_signatures(model, inputs).items()}
    _check_loops(explained, functions["serving_default"].graph)
    content = _int8_content(model, functions, int8) if quantize == "int8" else convert(model, functions, quantize)
    return content, functions["serving_default"]


def _check_loops(explained: keras.Model, graph: tf.Graph) -> None:
    again = [tap for tap in getattr(explained, "taps", ()) if tap.method.needs_replay]
    if again and any(operation.type in ("While", "StatelessWhile") for operation in graph.get_operations()):
        raise UnsupportedOperationError(
            f"{quoted({tap.method.name for tap in again})} would run the model in a loop, which XNNPACK can't. Use "
            f"`batch_size=1` and at most {AT_ONCE} runs: `max_channels`, or for 'reciprocam' a deeper layer."
        )


def _warn_that_check_is_lost(explained: keras.Model) -> None:
    if isinstance(explained, ExplainedModel) and explained.options.check_numerics:
        warnings.warn(
            "`check_numerics` has no effect in TensorFlow Lite: an image with NaN or infinite activations gets an "
            "all-zero heatmap there.",
            stacklevel=3,
        )


def _verification_examples(
    explained: keras.Model, inputs: ModelInputs, int8: Int8Options, max_examples: int, pixels: Pixels | None
) -> Examples:
    """Return the inputs on which the file is compared with the model, once all of the user's are checked."""
    user_inputs = without_target_inputs(explained, inputs)
    if int8.examples is not None:
        check_examples(int8.examples, user_inputs, pixels)
        return spread_examples(int8.examples, max_examples)
    if int8.representative_data is None:
        return noise(inputs, user_inputs, pixels)
    examples = first_examples(int8.representative_data, inputs, max_examples, target_inputs_of(explained))
    check_examples(examples.arrays, user_inputs, pixels)
    return examples


def _int8_content(model: keras.Model, functions: Mapping[str, Signature], int8: Int8Options) -> bytes:
    # Imported here because it depends on private parts of TensorFlow: if they move, nothing else fails.
    from visualcnn_tf.export.tflite_int8 import quantize_int8

    float32 = convert(model, functions, None)
    heatmaps = model.explanation_names if isinstance(model, ExplainedModel) and not int8.full_integer else []
    return quantize_int8(
        float32,
        [int8.examples],
        heatmaps=heatmaps,
        io_dtype=int8.io_dtype or "float32",
        target_inputs=target_inputs_of(model),
    )


def with_batch_size(inputs: ModelInputs, batch_size: int | None) -> ModelInputs:
    """Return the inputs with another batch size.

    Raises:
        InvalidArgumentError: If the size of an input is unknown.
    """
    for spec in inputs.specs:
        if None in spec.shape[1:]:
            raise bad_value(
                "explained",
                "a model of known input sizes",
                f"the input {spec.name!r} with shape {spec.shape}",
                "Fix what is None with `attach(model, input_shape=...)`, such as (224, 224, 3).",
            )
    specs = tuple(replace(spec, shape=(batch_size, *spec.shape[1:])) for spec in inputs.specs)
    return ModelInputs(inputs.structure, specs)
