"""The inputs of a model, their names, shapes and types, and the checks of what callers pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import quoted
from visualcnn_tf._utils.types import Shape
from visualcnn_tf.errors import InputShapeError, InvalidTypeError

_TEXT = "string"
_ADVICE = {
    "batch": "For a single example, add the batch axis: x[np.newaxis].",
    "rank": "The number of axes differs.",
    "channels": "The number of channels differs: convert the images first.",
    "size": "The size differs: resize the images first.",
}


@dataclass(frozen=True)
class ModelInput:
    """One input of a model.

    Attributes:
        name: its name, the key in a dict of inputs.
        shape: its shape, with the batch first, None where unknown.
        dtype: the name of its type, such as ``"float32"``.
        fixed: whether the spatial sizes in ``shape`` are required; those that a subclassed model was built on are not.
    """

    name: str
    shape: Shape
    dtype: str
    fixed: bool = True


@dataclass(frozen=True)
class ModelInputs:
    """All inputs of a model.

    Attributes:
        structure: the nested structure that the model's call takes, with 0 for each tensor.
        specs: the inputs, flat.
    """

    structure: Any
    specs: tuple[ModelInput, ...]

    def get_config(self) -> dict[str, Any]:
        """Return the attributes, serializable."""
        return {"structure": self.structure, "specs": [asdict(spec) for spec in self.specs]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ModelInputs:
        """Return the inputs that :meth:`get_config` described."""
        specs = [ModelInput(**{**spec, "shape": tuple(spec["shape"])}) for spec in config["specs"]]
        return cls(config["structure"], tuple(specs))

    @property
    def names(self) -> list[str]:
        """The names of the inputs."""
        return [spec.name for spec in self.specs]

    def pack(self, tensors: Sequence[Any]) -> Any:
        """Return flat tensors in the structure that the model's call takes."""
        if is_flat_dict(self.structure):
            return dict(zip(self.names, tensors, strict=True))
        return keras.tree.pack_sequence_as(self.structure, list(tensors))

    def flatten(self, inputs: object) -> list[Any]:
        """Return what a caller passed, flat, in the order of the specs."""
        if isinstance(inputs, Mapping) and set(self.names) <= set(inputs):
            return [inputs[name] for name in self.names]
        return list(keras.tree.flatten(inputs))

    def standardize(self, inputs: object) -> Any:
        """Return checked tensors or arrays in the structure that the model's call takes, of the ranks that it takes.

        As Keras's own models do, this adds or drops a last axis of size 1, so that gray images may lack it. Texts
        become tensors, since Keras takes no arrays of them.
        """
        return self.pack([_as_taken(x, spec) for x, spec in zip(self.flatten(inputs), self.specs, strict=True)])

    def with_more(self, more: Iterable[ModelInput]) -> ModelInputs:
        """Return these inputs as a dict by name, with some more behind them."""
        specs = (*self.specs, *more)
        return ModelInputs(dict.fromkeys([spec.name for spec in specs], 0), specs)

    def check(self, inputs: object) -> None:
        """Check the structure, ranks, channels and sizes of tensors, arrays or tensor specs with a batch first.

        Raises:
            InputShapeError: if they differ from those of the model.
            InvalidTypeError: for texts where the model takes numbers, or numbers where it takes texts.
        """
        if isinstance(inputs, Mapping) and not isinstance(self.structure, Mapping):
            missing = sorted(set(self.names) - set(inputs))
            if missing:
                raise InputShapeError(f"`inputs` lacks {quoted(missing)}. Received: a dict with {quoted(inputs)}.")
        flat = self.flatten(inputs)
        if len(flat) != len(self.specs):
            raise InputShapeError(
                f"`inputs` must be {len(self.specs)} tensors, for {quoted(self.names)}. Received: {len(flat)}."
            )
        for spec, tensor in zip(self.specs, flat, strict=True):
            if hasattr(tensor, "dtype"):
                _check_type(spec, tensor)
            shape = shape_of(tensor)
            if shape is not None:
                _check_shape(spec, shape)


def check_arrays(inputs: object) -> None:
    """Check that inputs are arrays or tensors: for others Keras's errors are hard to understand.

    Raises:
        InvalidTypeError: for texts, names of files, single numbers and None.
    """
    leaves = keras.tree.flatten(inputs)
    is_none = bool(leaves) and all(leaf is None for leaf in leaves)
    texts = [leaf for leaf in leaves if isinstance(leaf, (str, bytes))]
    if texts or is_none or isinstance(inputs, (int, float)):
        raise _no_numbers(type(texts[0] if texts else inputs).__name__)


def shape_of(tensor: Any) -> Shape | None:
    """Return the static shape of an array, a tensor or a tensor spec, None where not even the rank is known."""
    shape = getattr(tensor, "shape", None)
    return None if shape is None or getattr(shape, "rank", 0) is None else tuple(shape)


def is_flat_dict(structure: object) -> bool:
    """Return whether a structure is a dict whose values are single tensors."""
    return isinstance(structure, Mapping) and not any(
        isinstance(value, (Mapping, list, tuple)) for value in structure.values()
    )


def shape_text(shape: Shape) -> str:
    """Return a shape as error messages show it, ``"(B, ?, ?, 3)"``."""
    return "(" + ", ".join(["B", *("?" if n is None else str(n) for n in shape[1:])]) + ")" if shape else "()"


def _check_type(spec: ModelInput, tensor: Any) -> None:
    dtype = tensor.dtype
    is_text = getattr(dtype, "name", dtype) == _TEXT or getattr(dtype, "kind", "f") in "USO"
    if is_text and spec.dtype != _TEXT:
        raise _no_numbers(f"{type(tensor).__name__} of texts or objects", f" for the input {spec.name!r}")
    if spec.dtype == _TEXT and not is_text:
        raise InvalidTypeError(
            f"`inputs` must be texts for the input {spec.name!r}. Received: {type(tensor).__name__} of "
            f"{getattr(dtype, 'name', dtype)}. Pass an array of strings or bytes."
        )


def _no_numbers(received: str, which: str = "") -> InvalidTypeError:
    return InvalidTypeError(
        f"`inputs` must be arrays or tensors of numbers{which}. Received: {received}. Read and decode files first; "
        "texts for a model that takes texts go into an array of strings."
    )


def _as_taken(tensor: Any, spec: ModelInput) -> Any:
    """Return a tensor or an array of the rank of an input, of texts a tensor."""
    if tensor is None:  # an optional input
        return None
    if spec.dtype == _TEXT and isinstance(tensor, np.ndarray):
        tensor = tf.constant(tensor)
    shape, expected = shape_of(tensor), spec.shape
    if shape is None:
        return tf.ensure_shape(tensor, expected if spec.fixed else (*[None] * len(expected[1:]), *expected[-1:]))
    if len(shape) == len(expected):
        return tensor
    return tensor[..., tf.newaxis] if len(shape) < len(expected) else tensor[..., 0]


def _check_shape(spec: ModelInput, shape: Shape) -> None:
    mismatch = _mismatch(spec, shape)
    if mismatch is not None:
        raise InputShapeError(
            f"`inputs` must have shape {shape_text(spec.shape)} for the input {spec.name!r}. Received: {shape}. "
            f"{_ADVICE[mismatch]}"
        )


def _mismatch(spec: ModelInput, shape: Shape) -> Literal["batch", "rank", "channels", "size"] | None:
    """Return what is wrong with the shape of an input, if anything."""
    expected = spec.shape
    channel_axis = len(expected) - 1
    given = _as_keras_takes_it(shape, expected)
    axes = range(1, len(expected)) if spec.fixed else [channel_axis]
    wrong = [axis for axis in axes if len(given) == len(expected) and not _agree(given[axis], expected[axis])]
    if len(given) == len(expected) and not wrong:
        return None
    if _fits(shape, expected[1:]):
        return "batch"
    if len(given) != len(expected):
        return "rank"
    return "channels" if wrong == [channel_axis] else "size"


def _as_keras_takes_it(shape: Shape, expected: Shape) -> Shape:
    """Return a shape with or without a last axis of size 1, which Keras adds or drops where it has to."""
    if len(shape) == len(expected) - 1 and expected[-1] == 1:
        return (*shape, 1)
    if len(shape) == len(expected) + 1 and shape[-1] == 1:
        return shape[:-1]
    return shape


def _agree(size: int | None, other: int | None) -> bool:
    return size == other or not (size and other)


def _fits(shape: Shape, expected: Shape) -> bool:
    """Return whether all sizes that are expected are there."""
    return len(shape) == len(expected) and all(b in (None, a) for a, b in zip(shape, expected, strict=True))
