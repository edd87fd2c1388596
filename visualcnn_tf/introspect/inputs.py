"""The inputs of a model, their names, shapes and types, and the checks of what callers pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import keras

from visualcnn_tf._utils.checks import quoted
from visualcnn_tf._utils.types import Shape
from visualcnn_tf.errors import InputShapeError, InvalidTypeError

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

    def add_channel_axis(self, inputs: Any) -> Any:
        """Return the inputs, with the last axis of size 1 where gray images ``(B, H, W)`` lack it."""
        if len(keras.tree.flatten(inputs)) != len(self.specs) or isinstance(inputs, Mapping):
            return inputs
        flat = [
            x[..., None] if len(x.shape) == len(spec.shape) - 1 else x
            for x, spec in zip(self.flatten(inputs), self.specs, strict=True)
        ]
        return keras.tree.pack_sequence_as(inputs, flat)

    def with_class_index(self, name: str) -> ModelInputs:
        """Return these inputs as a dict by name, with one more of this name: the class index of each image."""
        specs = (*self.specs, ModelInput(name, (None,), "int32"))
        return ModelInputs(dict.fromkeys([spec.name for spec in specs], 0), specs)

    def check(self, inputs: object) -> None:
        """Check the structure, ranks, channels and sizes of tensors, arrays or tensor specs with a batch first.

        Raises:
            InputShapeError: if they differ from those of the model.
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
            if hasattr(tensor, "shape") and tensor.shape is not None:
                _check_shape(spec, tuple(tensor.shape))


def check_arrays(inputs: object) -> None:
    """Check that inputs are arrays or tensors of numbers: for others Keras's errors are hard to understand.

    Raises:
        InvalidTypeError: for strings, names of files, single numbers and None.
    """
    leaves = keras.tree.flatten(inputs)
    is_none = bool(leaves) and all(leaf is None for leaf in leaves)
    has_strings = any(_is_string(leaf) for leaf in leaves)
    if has_strings or is_none or isinstance(inputs, (int, float)):
        of_strings = " of texts or objects" if has_strings and not isinstance(inputs, (str, bytes)) else ""
        raise InvalidTypeError(
            f"`inputs` must be arrays or tensors of numbers. Received: {type(inputs).__name__}{of_strings}. "
            "Read and decode files first."
        )


def is_flat_dict(structure: object) -> bool:
    """Return whether a structure is a dict whose values are single tensors."""
    return isinstance(structure, Mapping) and not any(
        isinstance(value, (Mapping, list, tuple)) for value in structure.values()
    )


def shape_text(shape: Shape) -> str:
    """Return a shape as error messages show it, ``"(B, ?, ?, 3)"``."""
    return "(" + ", ".join(["B", *("?" if n is None else str(n) for n in shape[1:])]) + ")" if shape else "()"


def _is_string(value: object) -> bool:
    """Return whether a value is a string, or an array or tensor of strings or objects."""
    dtype = getattr(value, "dtype", None)
    is_array = getattr(dtype, "name", dtype) == "string" or getattr(dtype, "kind", "f") in "USO"
    return isinstance(value, (str, bytes)) or is_array


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
    # Keras itself adds a missing last axis of size 1: gray images may come as (B, H, W).
    given = (*shape, 1) if len(shape) == channel_axis and expected[-1] == 1 else shape
    axes = range(1, len(expected)) if spec.fixed else [channel_axis]
    wrong = [axis for axis in axes if len(given) == len(expected) and not _agree(given[axis], expected[axis])]
    if len(given) == len(expected) and not wrong:
        return None
    if _fits(shape, expected[1:]):
        return "batch"
    if len(given) != len(expected):
        return "rank"
    return "channels" if wrong == [channel_axis] else "size"


def _agree(size: int | None, other: int | None) -> bool:
    return size == other or not (size and other)


def _fits(shape: Shape, expected: Shape) -> bool:
    """Return whether all sizes that are expected are there."""
    return len(shape) == len(expected) and all(b in (None, a) for a, b in zip(shape, expected, strict=True))
