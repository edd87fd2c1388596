"""TensorFlow Lite in int8: the user's model in integers, what makes heatmaps of it in float32.

Integers spoil the arithmetic of heatmaps, not that of networks: normalizing divides by a span that may round to zero,
and the epsilons that guard it round to zero, too. So each operation that the predictions depend on is quantized,
weights per channel, and every other stays as it is; it costs little, because maps are small.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import tensorflow as tf

# The public tf.lite.experimental.QuantizationDebugger calls the same three, with float inputs and outputs only, and
# not without quantizing a second time and running the result.
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors
from tensorflow.lite.tools import flatbuffer_utils

from visualcnn_tf._utils.checks import bad_value, check_choice, quoted
from visualcnn_tf.export.examples import Arrays, batches, given_examples
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_operations import IO_DTYPES

_FEW = 10


def quantize_int8(
    content: bytes,
    representative_data: Iterable[Any],
    heatmaps: Collection[str] = (),
    io_dtype: str = "float32",
    class_index: str | None = None,
) -> bytes:
    """Quantizes a float32 TensorFlow Lite file; all of its signatures, which go on sharing their weights.

    Args:
        content: the file's content.
        representative_data: batches or single examples as the model gets them in use, preprocessed; about 100 of
            them tell the ranges of the activations. Arrays, dicts by name for several inputs, or tuples that start
            with one of these, as a ``tf.data.Dataset`` for training has.
        heatmaps: names of the outputs that are computed in float32.
        io_dtype: type of float inputs and outputs: ``"float32"``, or ``"int8"`` or ``"uint8"`` numbers, whose scale
            and zero point the file holds. Heatmaps are rounded last, and uint8 heatmaps stay what they are.
        class_index: name of the input that asks for a class, if there is one: the data need not hold it.

    Returns:
        The content of the quantized file.

    Raises:
        InvalidArgumentError: for an option that is not allowed, or examples that tell no ranges.
        InputShapeError: for examples that the model does not take.
    """
    check_choice("io_dtype", io_dtype, IO_DTYPES)
    file = interpreter(content)
    signatures = {key: file.get_signature_runner(key).get_input_details() for key in file.get_signature_list()}
    inputs = {name: detail for details in signatures.values() for name, detail in details.items()}
    examples = given_examples(representative_data, inputs, class_index)
    _check_examples(examples)

    def feeds() -> Iterator[tuple[str, Arrays]]:
        for batch in batches(examples, inputs):
            for key, details in signatures.items():
                yield key, {name: batch[name] for name in details}

    with warnings.catch_warnings():
        # The calibrator asks it for the order of the inputs; there is no other way to name a signature.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        calibrated = Calibrator(add_intermediate_tensors(content)).calibrate(feeds)
    quantized: bytes = mlir_quantize(
        calibrated,
        denylisted_nodes=_float_tensors(calibrated, heatmaps),
        input_data_type=tf.as_dtype(io_dtype),
        output_data_type=tf.as_dtype(io_dtype),
    )
    return quantized


def _float_tensors(content: bytes, heatmaps: Collection[str]) -> list[str]:
    """The names of the tensors that no prediction depends on."""
    file = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    outputs = {output.name.decode() for signature in file.signatureDefs for output in signature.outputs}
    if not set(heatmaps) <= outputs:
        raise bad_value("heatmaps", f"among the outputs {quoted(sorted(outputs))}", sorted(heatmaps))
    names = []
    for signature in file.signatureDefs:
        graph = file.subgraphs[signature.subgraphIndex]
        needed = {output.tensorIndex for output in signature.outputs if output.name.decode() not in heatmaps}
        for operation in reversed(graph.operators):
            if needed.intersection(operation.outputs):
                needed.update(operation.inputs)
            else:
                names += [graph.tensors[tensor].name.decode() for tensor in operation.outputs]
    return names


def _check_examples(examples: Arrays) -> None:
    arrays = list(examples.values())
    count = len(arrays[0])
    if all((array == array.flat[0]).all() or (count > 1 and (array == array[:1]).all()) for array in arrays):
        raise bad_value(
            "representative_data",
            "examples that differ, because they tell the ranges of the activations",
            f"{count} blank or equal ones",
            "Pass real inputs.",
        )
    if count < _FEW:
        warnings.warn(
            f"`representative_data` holds few examples to tell the ranges of the activations from. Received: {count}. "
            "Pass 100 or so.",
            stacklevel=3,
        )
