"""Read ``representative_data``: inputs that the user gives, as the model gets them in use.

An exported model is compared with the original on the first of them, and int8 files find the ranges of their
activations with all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf.errors import InputShapeError
from visualcnn_tf.export.examples import batch_size
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs

#: Batches or single examples: arrays, dicts by name for several inputs, or tuples that start with one of these, such as
#: ``(x, y)`` of a dataset for training.
RepresentativeData: TypeAlias = Iterable[Any]


def check_data_is_used(data: RepresentativeData | None, verify: bool, unless: str = "") -> None:
    """Raise if the data would have no effect, because nothing is compared.

    Args:
        data: The user's representative data, or None.
        verify: Whether the export is compared with the model.
        unless: What would give it another use, for the error.

    Raises:
        InvalidArgumentError: If there is data, and ``verify`` is False.
    """
    if data is not None and not verify:
        allowed = "None with `verify=False`, which compares nothing"
        raise bad_value("representative_data", f"{allowed}, {unless}" if unless else allowed, type(data).__name__)


def first_batch(data: RepresentativeData, inputs: ModelInputs, class_index: str | None = None) -> Arrays:
    """Return the first examples, as many as the inputs take at once, and two if they take any number.

    Args:
        data: The user's representative data. No more of it is read than needed.
        inputs: The inputs of the exported model.
        class_index: The input that chooses the class to explain, if there is one; see :func:`read_examples`.

    Raises:
        InvalidArgumentError: If the data holds no examples, or NaN or infinity.
        InputShapeError: If the model does not take the examples.
    """
    count = batch_size(inputs)
    examples = read_examples(data, inputs.specs, class_index, enough=count)
    return next(in_batches(examples, count))


def read_examples(
    data: RepresentativeData | None,
    specs: Sequence[ModelInput],
    class_index: str | None = None,
    enough: float = math.inf,
) -> Arrays:
    """Return the examples of representative data as one array per input.

    Args:
        data: The user's representative data.
        specs: The inputs to read.
        class_index: The input that chooses the class to explain, if there is one. The data need not hold it: every
            example gets -1, the predicted class.
        enough: How many examples to read at least, if there are so many; the data may be endless.

    Raises:
        InvalidArgumentError: If the data holds no examples, or NaN or infinity.
        InputShapeError: If the model does not take the examples.
    """
    given_inputs = [spec for spec in specs if spec.name != class_index]
    parts = list(_until(enough, _as_batches(data, given_inputs)))
    if not sum(map(_length, parts)):
        raise bad_value("representative_data", "examples of the model's inputs", "none at all", "Pass some 100 inputs.")
    examples = {spec.name: _joined(spec.name, [part[spec.name] for part in parts]) for spec in given_inputs}
    if not all(np.isfinite(array).all() for array in examples.values()):
        raise bad_value("representative_data", "finite", "NaN or infinite values", "Check the preprocessing.")
    if class_index is not None:
        examples[class_index] = np.full(_length(examples), -1, np.int32)
    return examples


def in_batches(examples: Arrays, size: int) -> Iterator[Arrays]:
    """Yield the examples in batches of one size, the last one filled up with repetitions."""
    for start in range(0, _length(examples), size):
        yield {name: np.resize(x[start : start + size], (size, *x.shape[1:])) for name, x in examples.items()}


def _length(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def _until(enough: float, parts: Iterator[Arrays]) -> Iterator[Arrays]:
    count = 0
    for part in parts:
        yield part
        count += _length(part)
        if count >= enough:
            return


def _as_batches(data: RepresentativeData | None, specs: Sequence[ModelInput]) -> Iterator[Arrays]:
    """Yield each element of the data as arrays by name, the batch first."""
    if not isinstance(data, Iterable):
        raise bad_value("representative_data", "an iterable of batches or examples", data, "Pass some 100 inputs.")
    for element in data:
        named = _by_name(element, [spec.name for spec in specs])
        yield {spec.name: _as_batch(named[spec.name], spec) for spec in specs}


def _by_name(element: object, names: Sequence[str]) -> Mapping[str, Any]:
    """Return an element of the data as a dict by the names of the inputs."""
    given = element[0] if isinstance(element, tuple) else element
    named: Mapping[str, Any] = given if isinstance(given, Mapping) else {names[0]: given}
    if not set(names) <= set(named):
        raise bad_value("representative_data", f"of dicts with the inputs {quoted(names)}", f"one with {quoted(named)}")
    return named


def _as_batch(value: ArrayLike, spec: ModelInput) -> np.ndarray:
    """Return a batch or a single example, gray images with or without their channel axis, as a batch."""
    array, expected = np.asarray(value), spec.shape[1:]
    for batch in (array, array[np.newaxis], array[..., np.newaxis], array[np.newaxis, ..., np.newaxis]):
        shape = batch.shape[1:]
        if len(shape) == len(expected) and all(b in (None, a) for a, b in zip(shape, expected, strict=True)):
            return _numbers(batch, spec.dtype)
    raise InputShapeError(
        f"`representative_data` must hold examples of shape {expected} for the input {spec.name!r}, or batches of "
        f"them. Received: {array.shape}. Resize the images as for the model."
    )


def _numbers(array: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    try:
        return array.astype(dtype, copy=False)
    except (TypeError, ValueError):
        raise bad_value("representative_data", "of numbers", f"an array of {array.dtype}") from None


def _joined(name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    sizes = sorted({part.shape[1:] for part in parts})
    if len(sizes) > 1:
        raise InputShapeError(
            f"`representative_data` must hold examples of one size for the input {name!r}. Received: {quoted(sizes)}. "
            "Resize or crop the images."
        )
    return np.concatenate(parts)
