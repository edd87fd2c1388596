"""Quantize a TensorFlow Lite file to int8: the user's model in integers, and its heatmaps in float32.

Integers serve networks well, but not the arithmetic of heatmaps: normalizing divides by a range that may round to zero,
and so may the epsilon that guards against that. So every operation that the predictions depend on is quantized, its
weights per channel, and every other operation stays in float32. That costs little, because the maps are small.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# The public tf.lite.experimental.QuantizationDebugger calls the same three, but only with float inputs and outputs, and
# it quantizes a second time and runs the result.
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors
from tensorflow.lite.tools import flatbuffer_utils

from visualcnn_tf._utils.checks import bad_value, check_choice, quoted
from visualcnn_tf._utils.warn import warn_user
from visualcnn_tf.export.representative_data import RepresentativeData, in_batches, read_examples
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_options import IO_DTYPES, check_ranges
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs
from visualcnn_tf.targets.inputs import TargetInput

_FEW = 10


def quantize_int8(
    content: bytes,
    representative_data: RepresentativeData | None,
    *,
    heatmaps: Collection[str] = (),
    io_dtype: str = "float32",
    target_inputs: Sequence[TargetInput] = (),
) -> bytes:
    """Quantize all signatures of a float32 TensorFlow Lite file, which go on sharing their weights.

    Args:
        content: The content of the file.
        representative_data: Inputs as the model gets them in use, preprocessed; about 100 of them show the ranges of
            the activations. In any form that :data:`RepresentativeData` names.
        heatmaps: The names of the outputs to compute in float32.
        io_dtype: The type of float inputs and outputs: ``"float32"``, or ``"int8"`` or ``"uint8"``, whose scale and
            zero point the file holds. Heatmaps are rounded in their last step; those that are uint8 anyway stay as
            they are.
        target_inputs: The inputs that say what is explained, such as the class index. The data need not hold them.

    Returns:
        The content of the quantized file.

    Raises:
        InvalidArgumentError: If an option is not allowed, or the examples show no ranges.
        InputShapeError: If the model does not take the examples.
    """
    check_choice("io_dtype", io_dtype, IO_DTYPES)
    signatures = _inputs_of_signatures(content)
    inputs = {spec.name: spec for specs in signatures.values() for spec in specs}
    taken = ModelInputs(dict.fromkeys(inputs, 0), tuple(inputs.values()))
    examples = read_examples(representative_data, taken, target_inputs)
    check_ranges(examples, target_inputs)
    _warn_if_few(examples)
    batch_size = next(iter(inputs.values())).shape[0] or 1

    def feeds() -> Iterator[tuple[str, Arrays]]:
        for batch in in_batches(examples, batch_size):
            for key, specs in signatures.items():
                yield key, {spec.name: batch[spec.name] for spec in specs}

    with warnings.catch_warnings():
        # The calibrator opens it to find the order of the inputs; there is no other way to name a signature.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        calibrated = Calibrator(add_intermediate_tensors(content)).calibrate(feeds)
    quantized: bytes = mlir_quantize(
        calibrated,
        denylisted_nodes=_float_tensors(calibrated, heatmaps),
        input_data_type=tf.as_dtype(io_dtype),
        output_data_type=tf.as_dtype(io_dtype),
    )
    return quantized


def _inputs_of_signatures(content: bytes) -> Mapping[str, list[ModelInput]]:
    """Return the inputs of each signature of a file."""
    file = interpreter(content)
    details = {key: file.get_signature_runner(key).get_input_details() for key in file.get_signature_list()}
    return {key: [_model_input(name, one) for name, one in inputs.items()] for key, inputs in details.items()}


def _model_input(name: str, details: Mapping[str, Any]) -> ModelInput:
    shape = tuple(None if n < 0 else int(n) for n in details["shape_signature"])
    return ModelInput(name, shape, np.dtype(details["dtype"]).name)


def _float_tensors(content: bytes, heatmaps: Collection[str]) -> list[str]:
    """Return the names of the tensors that no prediction depends on."""
    file = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    outputs = {output.name.decode() for signature in file.signatureDefs for output in signature.outputs}
    if not set(heatmaps) <= outputs:
        raise bad_value("heatmaps", f"among the outputs {quoted(sorted(outputs))}", sorted(heatmaps))
    names: list[str] = []
    for signature in file.signatureDefs:
        graph = file.subgraphs[signature.subgraphIndex]
        predictions = {output.tensorIndex for output in signature.outputs if output.name.decode() not in heatmaps}
        names += [graph.tensors[index].name.decode() for index in _not_needed_for(predictions, graph.operators)]
    return names


def _not_needed_for(tensors: set[int], operators: list[Any]) -> Iterator[int]:
    """Yield the results of the operations that these tensors don't depend on, last operation first."""
    needed = set(tensors)
    for operation in reversed(operators):
        if needed.intersection(operation.outputs):
            needed.update(operation.inputs)
        else:
            yield from operation.outputs


def _warn_if_few(examples: Arrays) -> None:
    count = len(next(iter(examples.values())))
    if count < _FEW:
        warn_user(
            f"`representative_data` holds few examples to find the ranges of the activations with. Received: {count}. "
            "Pass 100 or so.",
            UserWarning,
        )
