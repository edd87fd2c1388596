"""Check the options of ``export_tflite``: each must be allowed, and have an effect."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, check_choice, is_count
from visualcnn_tf.export.representative_data import RepresentativeData, check_data_is_used, read_examples
from visualcnn_tf.introspect.inputs import ModelInputs

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
    """

    representative_data: RepresentativeData | None
    io_dtype: str | None
    full_integer: bool

    def with_arrays(self, inputs: ModelInputs, class_index: str | None) -> Int8Options:
        """Return the same options with all data as arrays by name, to be read twice: for an example, and for ranges."""
        return replace(self, representative_data=read_examples(self.representative_data, inputs, class_index))


def check_options(
    explained: keras.Model, batch_size: int | None, quantize: str | None, int8: Int8Options, verify: bool
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
