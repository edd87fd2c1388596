"""Read ``representative_data``: inputs that the user gives, as the model gets them in use.

An exported model is compared with the original on some of them, and int8 files find the ranges of their
activations with all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf.errors import InputShapeError
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs
from visualcnn_tf.targets.inputs import TargetInput

#: Batches or single examples, in any form that ``predict`` or TensorFlow Lite takes: arrays, of several inputs dicts by
#: name or lists; an iterable of these, or of tuples that start with one of them, such as ``(x, y)`` of a dataset for
#: training; a function that returns such an iterable.
RepresentativeData: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]] | keras.utils.PyDataset


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


def read_examples(
    data: RepresentativeData | None,
    inputs: ModelInputs,
    target_inputs: Sequence[TargetInput] = (),
    enough: float = math.inf,
) -> Arrays:
    """Return the examples of representative data as one array per input.

    Args:
        data: The user's representative data.
        inputs: The inputs of the exported model.
        target_inputs: Those of them that say what is explained. The data need not hold them: examples get values that
            stand for none, such as -1, the predicted class.
        enough: How many examples to read at least, if there are so many; the data may be endless.

    Raises:
        InvalidArgumentError: If the data holds no examples, or NaN or infinity.
        InputShapeError: If the model does not take the examples.
    """
    added = {one.name for one in target_inputs}
    specs = [spec for spec in inputs.specs if spec.name not in added]
    parts = list(_until(enough, _as_batches(data, specs)))
    if not sum(map(_length, parts)):
        raise bad_value("representative_data", "examples of the model's inputs", "none at all", "Pass some 100 inputs.")
    examples = {spec.name: _joined(spec.name, [part[spec.name] for part in parts]) for spec in specs}
    if not all(np.isfinite(array).all() for array in examples.values() if array.dtype.kind == "f"):
        raise bad_value("representative_data", "finite", "NaN or infinite values", "Check the preprocessing.")
    count = _length(examples)
    return {**examples, **{one.name: one.filled(count) for one in target_inputs}}


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
    for element in _elements(data, len(specs)):
        tensors = _by_input(element, specs)
        yield {spec.name: _as_batch(tensor, spec) for spec, tensor in zip(specs, tensors, strict=True)}


def _elements(data: Any, count: int) -> Iterable[Any]:
    """Return what to iterate over, for a model with so many inputs."""
    data = getattr(data, "input_gen", data)  # a `tf.lite.RepresentativeDataset`
    if callable(data) and not isinstance(data, Iterable):
        data = data()
    if isinstance(data, keras.utils.PyDataset):
        return (data[index] for index in range(data.num_batches or 0))
    if isinstance(data, Mapping) or (count > 1 and _are_arrays(data) and len(data) == count):
        return [data]  # all examples at once
    if not isinstance(data, Iterable):
        raise bad_value("representative_data", "an iterable of batches or examples", data, "Pass some 100 inputs.")
    return data


def _by_input(element: Any, specs: Sequence[ModelInput]) -> Sequence[Any]:
    """Return an element of the data as one array for each input."""
    names = [spec.name for spec in specs]
    given = _without_labels(element, len(specs))
    if isinstance(given, Mapping) and set(names) <= set(given):
        return [given[name] for name in names]
    if len(names) == 1 and not isinstance(given, Mapping):
        is_wrapped = _are_arrays(given) and len(np.shape(given[0])) == len(specs[0].shape)
        return [given[0] if is_wrapped else given]
    if isinstance(given, (list, tuple)) and len(given) == len(names):
        return given
    received = f"a dict with {quoted(given)}" if isinstance(given, Mapping) else _described(given)
    raise bad_value(
        "representative_data", f"of dicts with the inputs {quoted(names)}, or of lists in this order", received
    )


def _without_labels(element: Any, count: int) -> Any:
    """Return the inputs of an element: of ``(x, y)`` and ``(x, y, weights)`` the first, of ``(signature, x)`` x."""
    if not isinstance(element, tuple) or not element:
        return element
    if isinstance(element[0], str):
        return element[1]
    is_inputs = count > 1 and _are_arrays(element)
    return element if is_inputs else element[0]


def _are_arrays(value: object) -> bool:
    """Return whether a value is a list or tuple of arrays or tensors."""
    return isinstance(value, (list, tuple)) and bool(value) and all(hasattr(each, "shape") for each in value)


def _described(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"an array of shape {np.shape(value)}"


def _as_batch(value: ArrayLike, spec: ModelInput) -> np.ndarray:
    """Return a batch or a single example, gray images with or without their channel axis, as a batch."""
    array, expected = np.asarray(value), spec.shape[1:]
    for batch in (array, array[np.newaxis], array[..., np.newaxis], array[np.newaxis, ..., np.newaxis]):
        shape = batch.shape[1:]
        if batch.ndim == len(spec.shape) and all(b in (None, a) for a, b in zip(shape, expected, strict=True)):
            return _typed(batch, spec.dtype)
    raise InputShapeError(
        f"`representative_data` must hold examples of shape {expected} for the input {spec.name!r}, or batches of "
        f"them. Received: {array.shape}. Resize the images as for the model."
    )


def _typed(array: np.ndarray, dtype: str) -> np.ndarray:
    try:
        return array.astype(tf.as_dtype(dtype).as_numpy_dtype, copy=False)
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
