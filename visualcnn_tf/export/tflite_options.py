"""Check the options of ``export_tflite``: each must be allowed, and have an effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, check_choice, is_count
from visualcnn_tf.export.limits import Demands
from visualcnn_tf.export.representative_data import RepresentativeData, check_data_is_used, read_examples
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.export.verification_examples import check_max_examples
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.targets.inputs import TargetInput

#: How the weights, and for int8 the activations, of a file may be stored.
QUANTIZATIONS = (None, "float16", "dynamic", "int8")
#: Types of the float inputs and outputs of an int8 file; integers have a scale and a zero point in the file.
IO_DTYPES = ("float32", "int8", "uint8")


@dataclass(frozen=True)
class Int8Options:
    """The options for ``quantize="int8"``.

    Attributes:
        representative_data: Inputs that show the ranges of the activations.
        io_dtype: The type of float inputs and outputs; None for float32.
        full_integer: Whether heatmaps are computed in integers, too.
        examples: All of ``representative_data``, once it is read.
    """

    representative_data: RepresentativeData | None
    io_dtype: str | None
    full_integer: bool
    examples: Arrays | None = None

    def read(self, inputs: ModelInputs, target_inputs: Sequence[TargetInput]) -> Int8Options:
        """Return the same options with the examples that the data holds, once they are checked.

        Args:
            inputs: The inputs of the exported model.
            target_inputs: Those of them that say what is explained, such as the class index.

        Raises:
            InvalidArgumentError: If the data holds no examples, or shows no ranges.
            InputShapeError: If the model does not take the examples.
        """
        examples = read_examples(self.representative_data, inputs, target_inputs)
        check_ranges(examples, target_inputs)
        return replace(self, examples=examples)


def check_ranges(examples: Arrays, target_inputs: Sequence[TargetInput] = ()) -> None:
    """Raise if all examples are blank or equal: the ranges of the activations come from them.

    Args:
        examples: The inputs by name.
        target_inputs: The inputs that say what is explained, which may be the same for all.

    Raises:
        InvalidArgumentError: If they are.
    """
    added = {one.name for one in target_inputs}
    arrays = [array for name, array in examples.items() if name not in added]
    count = len(arrays[0])
    if all((array == array.flat[0]).all() or (count > 1 and (array == array[:1]).all()) for array in arrays):
        raise bad_value(
            "representative_data",
            "examples that differ, because they show the ranges of the activations",
            f"{count} blank or equal ones",
            "Pass real inputs.",
        )


def check_options(
    explained: keras.Model,
    batch_size: int | None,
    quantize: str | None,
    int8: Int8Options,
    verify: bool,
    demands: Demands,
) -> None:
    """Raise unless the options are allowed, and have an effect.

    Raises:
        InvalidArgumentError: For the first option that is not allowed, or would have no effect.
    """
    check_choice("quantize", quantize, QUANTIZATIONS)
    if batch_size is not None and not is_count(batch_size):
        raise bad_value("batch_size", "a number of at least 1, or None for any", batch_size)
    if quantize == "int8":
        _check_int8(explained, int8)
    else:
        _check_no_int8(int8, verify)
    _check_demands(demands, int8.representative_data, verify)


def _check_int8(explained: keras.Model, int8: Int8Options) -> None:
    if int8.representative_data is None:
        raise bad_value("representative_data", "given for quantize='int8'", None, "Pass some 100 inputs, preprocessed.")
    check_choice("io_dtype", int8.io_dtype, (None, *IO_DTYPES))
    if int8.full_integer and isinstance(explained, ExplainedModel):
        _check_full_integer(explained)


def _check_full_integer(explained: ExplainedModel) -> None:
    """Raise for heatmaps that are wrong in integers, or raise errors there: small divisors round to zero."""
    methods = [tap.method for tap in explained.taps if not tap.method.supports_integers]
    options = explained.options
    if methods or options.heatmap_dtype != "float32" or options.normalize == "minmax":
        raise bad_value(
            "full_integer",
            "False for callables, 'eigen' and methods that explain a class, types but float32, and 'minmax'",
            {"method": methods, "heatmap_dtype": options.heatmap_dtype, "normalize": options.normalize},
            "Integers take `normalize='max'`, a range or None.",
        )


def _check_no_int8(int8: Int8Options, verify: bool) -> None:
    """Raise for options that have an effect with ``quantize="int8"`` only."""
    if int8.io_dtype is not None:
        raise bad_value("io_dtype", "None unless quantize='int8'", int8.io_dtype)
    if int8.full_integer:
        raise bad_value("full_integer", "False unless quantize='int8'", int8.full_integer)
    check_data_is_used(int8.representative_data, verify, "unless quantize='int8'")


def _check_demands(demands: Demands, data: RepresentativeData | None, verify: bool) -> None:
    check_max_examples(demands.max_examples, data, verify)
    for name, value, lowest in (
        ("min_correlation", demands.min_correlation, -1),
        ("min_agreement", demands.min_agreement, 0),
    ):
        if value is None:
            continue
        if not verify:
            raise bad_value(name, "None with `verify=False`, which compares nothing", value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not lowest <= value <= 1:
            raise bad_value(name, f"a number from {lowest} to 1, or None", value)
