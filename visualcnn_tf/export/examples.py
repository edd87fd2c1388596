"""Inputs to try an exported model with: those that its user gave, or seeded noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf.errors import InputShapeError
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs

Arrays: TypeAlias = dict[str, Any]

_BATCH = 2
_UNKNOWN = 64  # stands in for a dimension that the model leaves open


def example_inputs(signature: str, inputs: ModelInputs, own: ModelInputs) -> dict[str, Any]:
    """A batch for one signature, of two where its size is open: encoded images, or the model's own inputs by name.

    Args:
        signature: the signature's name.
        inputs: what the exported model takes.
        own: what the user's model takes, without a class index.
    """
    count = _count(own)
    if signature == "predict":
        return _noise(own.specs, count)
    if signature == "serving_bytes":
        size = (count, *(n or 1 for n in own.specs[0].shape[1:]))
        pixels = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
        return {"image_bytes": pictures(pixels), **_noise(inputs.specs[len(own.specs) :], count)}
    return _noise(inputs.specs, count)


def _count(inputs: ModelInputs) -> int:
    """How many examples the inputs take at once."""
    return inputs.specs[0].shape[0] or _BATCH


def pictures(images: np.ndarray) -> np.ndarray:
    """uint8 images as PNG files, ``(B,)``, all but the first one with a margin: they have to be resized."""
    margins = [(0, 0), (0, 3), (0, 6), (0, 0)]
    larger = np.pad(images, margins, "edge")
    return np.array([tf.io.encode_png(image).numpy() for image in (images[0], *larger[1:])], object)


def _noise(specs: Sequence[ModelInput], count: int) -> dict[str, Any]:
    """Numbers from 0 to 1; integers, such as a class index, are 0."""
    rng = np.random.default_rng(0)
    shapes = {spec.name: (count, *(n or _UNKNOWN for n in spec.shape[1:])) for spec in specs}
    return {spec.name: rng.uniform(0, 1, shapes[spec.name]).astype(spec.dtype) for spec in specs}


def first_batch(representative_data: Iterable[Any], inputs: ModelInputs, class_index: str | None = None) -> Arrays:
    """The first examples of representative data by input, as many as these inputs take, two where they take any."""
    wanted = _count(inputs)
    details = {
        spec.name: {"shape_signature": [wanted, *(n or -1 for n in spec.shape[1:])], "dtype": spec.dtype}
        for spec in inputs.specs
    }
    return next(batches(given_examples(representative_data, details, class_index, enough=wanted), details))


def given_examples(
    representative_data: Any, inputs: Mapping[str, Any], class_index: str | None = None, enough: float = math.inf
) -> Arrays:
    """The examples of representative data by input, the batch first.

    Args:
        representative_data: batches or examples: arrays, dicts by name for several inputs, or tuples that start with
            one of these.
        inputs: ``shape_signature``, -1 for what is unknown, and ``dtype`` of each input by name, as a file tells them.
        class_index: name of the input that asks for a class, if there is one: the data need not hold it.
        enough: so many examples or more are not asked for more; data may go on for ever.

    Raises:
        InvalidArgumentError: for what holds no examples, or NaN or infinite ones.
        InputShapeError: for examples that the model does not take.
    """
    if class_index is not None:
        # Whichever class is explained, the model's activations are the same.
        own = {name: detail for name, detail in inputs.items() if name != class_index}
        examples = given_examples(representative_data, own, None, enough)
        return {**examples, class_index: np.full(len(next(iter(examples.values()))), -1, np.int32)}
    if not isinstance(representative_data, Iterable):
        raise bad_value(
            "representative_data", "an iterable of batches or examples", representative_data, "Pass some 100 inputs."
        )
    found: dict[str, list[Any]] = {name: [] for name in inputs}
    for element in representative_data:
        x = _by_input(element, inputs)
        for name, detail in inputs.items():
            found[name].append(_batch(x[name], name, detail))
        if sum(map(len, next(iter(found.values())))) >= enough:
            break
    if not sum(map(len, next(iter(found.values())))):
        raise bad_value("representative_data", "examples of the model's inputs", "none at all", "Pass some 100 inputs.")
    examples = {name: _joined(name, parts) for name, parts in found.items()}
    if not all(np.isfinite(array).all() for array in examples.values()):
        raise bad_value("representative_data", "finite", "NaN or infinite values", "Check the preprocessing.")
    return examples


def _by_input(element: Any, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """One element of representative data as a dict of the inputs."""
    given = element[0] if isinstance(element, tuple) else element
    x: Mapping[str, Any] = given if isinstance(given, Mapping) else {next(iter(inputs)): given}
    if not set(inputs) <= set(x):
        raise bad_value("representative_data", f"of dicts with the inputs {quoted(inputs)}", f"one with {quoted(x)}")
    return x


def _joined(name: str, parts: Sequence[Any]) -> Any:
    sizes = sorted({part.shape[1:] for part in parts})
    if len(sizes) > 1:
        raise InputShapeError(
            f"`representative_data` must hold examples of one size for the input {name!r}. Received: {quoted(sizes)}. "
            "Resize or crop the images."
        )
    return np.concatenate(parts)


def _batch(value: Any, name: str, detail: Mapping[str, Any]) -> Any:
    """A batch or an example, with or without the channel axis of gray images, as a batch."""
    array = np.asarray(value)
    expected = tuple(int(n) for n in detail["shape_signature"][1:])
    for batch in (array, array[np.newaxis], array[..., np.newaxis], array[np.newaxis, ..., np.newaxis]):
        shape = batch.shape[1:]
        if len(shape) == len(expected) and all(b in (-1, a) for a, b in zip(shape, expected, strict=True)):
            return _numbers(batch, detail["dtype"])
    raise InputShapeError(
        f"`representative_data` must hold examples of shape {expected} for the input {name!r}, or batches of them. "
        f"Received: {array.shape}. Resize the images as for the model."
    )


def _numbers(array: Any, dtype: Any) -> Any:
    try:
        return array.astype(dtype, copy=False)
    except (TypeError, ValueError):
        raise bad_value("representative_data", "of numbers", f"an array of {array.dtype}") from None


def batches(examples: Arrays, inputs: Mapping[str, Any]) -> Iterator[Arrays]:
    """The examples in batches of the size that the file takes, the last one filled up with repetitions."""
    size = max(1, int(next(iter(inputs.values()))["shape_signature"][0]))
    for start in range(0, len(next(iter(examples.values()))), size):
        yield {name: np.resize(x[start : start + size], (size, *x.shape[1:])) for name, x in examples.items()}
