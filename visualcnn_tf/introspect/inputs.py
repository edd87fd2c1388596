"""What a model takes: names, shapes and types of its inputs, and the checks of what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras

from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf.errors import InputShapeError, InvalidTypeError

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class ModelInput:
    """One input of a model.

    Attributes:
        name: its name, the key in a dict of inputs.
        shape: with the batch first, None where unknown.
        dtype: name of its type.
        fixed: whether the model insists on the spatial sizes in ``shape``; a subclassed model was merely built
            on them.
    """

    name: str
    shape: Shape
    dtype: str
    fixed: bool = True


@dataclass(frozen=True)
class ModelInputs:
    """All inputs of a model, flat, and the structure that its call takes."""

    structure: Any
    specs: tuple[ModelInput, ...]

    def get_config(self) -> dict[str, Any]:
        """Serializable."""
        return {"structure": self.structure, "specs": [asdict(spec) for spec in self.specs]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ModelInputs:
        """The inverse of :meth:`get_config`."""
        specs = [ModelInput(**{**spec, "shape": tuple(spec["shape"])}) for spec in config["specs"]]
        return cls(config["structure"], tuple(specs))

    @property
    def names(self) -> list[str]:
        """The inputs' names."""
        return [spec.name for spec in self.specs]

    def pack(self, tensors: Sequence[Any]) -> Any:
        """Flat tensors in the structure that the model's call takes."""
        if _flat_dict(self.structure):
            return dict(zip(self.names, tensors, strict=True))
        return keras.tree.pack_sequence_as(self.structure, list(tensors))

    def flatten(self, inputs: Any) -> list[Any]:
        """What a caller passed, flat, in the order of the specs."""
        if isinstance(inputs, Mapping) and set(self.names) <= set(inputs):
            return [inputs[name] for name in self.names]
        flat: list[Any] = keras.tree.flatten(inputs)
        return flat

    def add_channel_axis(self, inputs: Any) -> Any:
        """Arrays that lack a last axis of size 1, gray images ``(B, H, W)``, with that axis."""
        if len(keras.tree.flatten(inputs)) != len(self.specs) or isinstance(inputs, Mapping):
            return inputs
        flat = [
            x[..., None] if len(x.shape) == len(spec.shape) - 1 else x
            for x, spec in zip(self.flatten(inputs), self.specs, strict=True)
        ]
        return keras.tree.pack_sequence_as(inputs, flat)

    def with_class_index(self, name: str) -> ModelInputs:
        """These inputs, by name, and the class of each image beside them."""
        specs = (*self.specs, ModelInput(name, (None,), "int32"))
        return ModelInputs(dict.fromkeys([spec.name for spec in specs], 0), specs)

    def check(self, inputs: Any) -> None:
        """Checks structure, ranks, channels and sizes of tensors, arrays or tensor specs with a batch first.

        Raises:
            InputShapeError: saying what is expected and what was received.
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


def check_arrays(inputs: Any) -> None:
    """Raises for what no model takes, which Keras answers with internal errors.

    Raises:
        InvalidTypeError: for texts, files' names, single numbers and None.
    """
    leaves = keras.tree.flatten(inputs)
    texts = any(isinstance(leaf, (str, bytes)) or _holds_texts(getattr(leaf, "dtype", None)) for leaf in leaves)
    if texts or isinstance(inputs, (int, float)) or (leaves and all(leaf is None for leaf in leaves)):
        raise InvalidTypeError(
            f"`inputs` must be arrays or tensors of numbers. Received: {type(inputs).__name__}"
            f"{' of texts or objects' if texts and not isinstance(inputs, (str, bytes)) else ''}. "
            "Read and decode files first."
        )


def _holds_texts(dtype: Any) -> bool:
    return getattr(dtype, "name", dtype) == "string" or getattr(dtype, "kind", "f") in "USO"


def _check_shape(spec: ModelInput, shape: Shape) -> None:
    expected = spec.shape
    # Keras itself adds a missing last axis of size 1: gray images may come as (B, H, W).
    given = (*shape, 1) if len(shape) == len(expected) - 1 and expected[-1] == 1 else shape
    if len(given) == len(expected):
        axes = range(1, len(expected)) if spec.fixed else [len(expected) - 1]
        wrong = [axis for axis in axes if expected[axis] and given[axis] and expected[axis] != given[axis]]
        if not wrong:
            return
    if _fits(shape, expected[1:]):
        advice = "For a single example, add the batch axis: x[np.newaxis]."
    elif len(given) != len(expected):
        advice = "The number of axes differs."
    elif wrong == [len(expected) - 1]:
        advice = "The number of channels differs: convert the images first."
    else:
        advice = "The size differs: resize the images first."
    raise InputShapeError(
        f"`inputs` must have shape {_text(expected)} for the input {spec.name!r}. Received: {shape}. {advice}"
    )


def _fits(shape: Shape, expected: Shape) -> bool:
    return len(shape) == len(expected) and all(b in (None, a) for a, b in zip(shape, expected, strict=True))


def _text(shape: Shape) -> str:
    return "(" + ", ".join(["B", *("?" if n is None else str(n) for n in shape[1:])]) + ")" if shape else "()"


def model_inputs(model: Any) -> ModelInputs | None:
    """The inputs of a Keras model, or None when nothing has said yet what they are."""
    return _symbolic_inputs(model) or _built_inputs(model)


def image_inputs(model: Any) -> ModelInputs:
    """The model's inputs, which must be one image, gray or in color.

    Raises:
        InputShapeError: They are something else.
    """
    inputs = model_inputs(model)
    shapes = [spec.shape for spec in inputs.specs] if inputs else []
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] not in (1, 3):
        received = ", ".join(str(shape[1:]) for shape in shapes) or "unknown inputs"
        raise InputShapeError(
            "The model must take one image, (height, width, channels) with 1 or 3 channels. "
            f"Received: a model that takes {received}. Use visualcnn_tf._attach in Python."
        )
    return inputs  # type: ignore[return-value]


def shaped_inputs(model: Any, input_shape: Any, fixed: bool = True) -> ModelInputs:
    """The inputs of a model that was never built, or whose unknown dimensions are to be fixed.

    Args:
        model: a Keras model, built or not.
        input_shape: shape of one example, without the batch, ``(28, 28, 1)``, or a list or dict of them.
        fixed: whether inputs of other sizes are refused.

    Raises:
        InvalidArgumentError: for a malformed ``input_shape``, or one that contradicts the model.
    """
    known = model_inputs(model)
    shapes = _normalized_shapes(input_shape)
    if known is None:
        return _from_shapes(shapes, keras.backend.floatx(), fixed)
    flat = ModelInputs(shapes, known.specs).flatten(shapes) if isinstance(shapes, Mapping) else _leaves(shapes)
    if len(flat) != len(known.specs):
        raise bad_value("input_shape", f"a shape for each of the inputs {quoted(known.names)}", input_shape)
    specs = []
    for spec, shape in zip(known.specs, flat, strict=True):
        agrees = len(shape) == len(spec.shape) and all(
            a is None or b is None or a == b or not spec.fixed for a, b in zip(shape, spec.shape, strict=True)
        )
        if not agrees:
            raise bad_value("input_shape", f"compatible with the model's {_text(spec.shape)}", input_shape)
        merged = tuple(a or b for a, b in zip(shape, spec.shape, strict=True))
        specs.append(ModelInput(spec.name, merged, spec.dtype, fixed))
    return ModelInputs(known.structure, tuple(specs))


def _symbolic_inputs(model: Any) -> ModelInputs | None:
    """From ``model.inputs``, which functional models and built Sequentials have."""
    tensors = getattr(model, "inputs", None)
    if not tensors:
        return None
    structure = tensors[0] if isinstance(model, keras.Sequential) else getattr(model, "input", tensors)
    if isinstance(structure, (list, tuple)) and len(structure) == 1:
        structure = structure[0]
    flat = keras.tree.flatten(structure)
    names = [tensor.name for tensor in flat]
    if _flat_dict(structure):
        keys = {id(tensor): key for key, tensor in structure.items()}
        names = [keys[id(tensor)] for tensor in flat]
    structure = keras.tree.map_structure(lambda _: 0, structure)
    specs = [ModelInput(name, tuple(t.shape), str(t.dtype)) for name, t in zip(names, flat, strict=True)]
    return ModelInputs(structure, tuple(specs))


def _flat_dict(structure: Any) -> bool:
    return isinstance(structure, Mapping) and not any(
        isinstance(value, (Mapping, list, tuple)) for value in structure.values()
    )


def _built_inputs(model: Any) -> ModelInputs | None:
    """From the shapes that a subclassed model was built on."""
    if not model.built:
        return None
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None:
        return None
    return _from_shapes(_with_free_batch(shapes), model.compute_dtype, fixed=False)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(n is None or isinstance(n, int) for n in value)


def _map_shapes(function: Any, shapes: Any) -> Any:
    if _is_shape(shapes):
        return function(tuple(shapes))
    if isinstance(shapes, Mapping):
        return {key: _map_shapes(function, value) for key, value in shapes.items()}
    return [_map_shapes(function, value) for value in shapes]


def _leaves(shapes: Any) -> list[Shape]:
    found: list[Shape] = []
    _map_shapes(found.append, shapes)
    return found


def _with_free_batch(shapes: Any) -> Any:
    return _map_shapes(lambda shape: (None, *shape[1:]), shapes)


def _normalized_shapes(input_shape: Any) -> Any:
    allowed = "a shape without the batch, such as (224, 224, 3), or a list or dict of them"

    def with_batch(shape: Shape) -> Shape:
        if not shape or any(n is not None and n < 1 for n in shape):
            raise bad_value("input_shape", allowed, input_shape)
        return (None, *shape)

    if not isinstance(input_shape, (tuple, list, Mapping)):
        raise bad_value("input_shape", allowed, input_shape)
    try:
        return _map_shapes(with_batch, input_shape)
    except TypeError:
        raise bad_value("input_shape", allowed, input_shape) from None


def _from_shapes(shapes: Any, dtype: str, fixed: bool) -> ModelInputs:
    if isinstance(shapes, Mapping):
        names, flat = list(shapes), list(shapes.values())
        structure: Any = dict.fromkeys(names, 0)
    elif _is_shape(shapes):
        names, flat, structure = ["inputs"], [shapes], 0
    else:
        flat = list(shapes)
        names, structure = [f"input_{i}" for i in range(len(flat))], [0] * len(flat)
    specs = tuple(ModelInput(name, shape, dtype, fixed) for name, shape in zip(names, flat, strict=True))
    return ModelInputs(structure, specs)
