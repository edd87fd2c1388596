"""Find the inputs of a Keras model: symbolic ones, those that it was built on, or those that the caller describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf._utils.types import Shape
from visualcnn_tf.errors import InputShapeError, NotBuiltError
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs, is_flat_dict, shape_of, shape_text

#: The shape of one tensor, or a list or dict of shapes.
Shapes: TypeAlias = "Shape | Sequence[Shapes] | Mapping[str, Shapes]"


def model_inputs(model: keras.Model) -> ModelInputs | None:
    """Return the inputs of a model, or None for a subclassed model that was neither called nor built."""
    return symbolic_inputs(model) or _built_inputs(model)


def symbolic_inputs(model: keras.Model) -> ModelInputs | None:
    """Return the inputs in ``model.inputs``, which functional models and built Sequentials have."""
    tensors = getattr(model, "inputs", None)
    if not tensors:
        return None
    structure = tensors[0] if isinstance(model, keras.Sequential) else getattr(model, "input", tensors)
    if isinstance(structure, (list, tuple)) and len(structure) == 1:
        structure = structure[0]
    flat = keras.tree.flatten(structure)
    # The key in a dict of inputs may differ from the name of the tensor.
    keys = {id(tensor): key for key, tensor in structure.items()} if is_flat_dict(structure) else {}
    specs = [ModelInput(keys.get(id(tensor), tensor.name), tuple(tensor.shape), str(tensor.dtype)) for tensor in flat]
    return ModelInputs(keras.tree.map_structure(lambda _: 0, structure), tuple(specs))


def inputs_of_call(model: keras.Model, inputs: Any) -> ModelInputs:
    """Return the inputs of a model that nobody has described, from the tensors of its first call.

    Raises:
        NotBuiltError: where not even their ranks are known.
    """
    if any(shape_of(tensor) is None for tensor in keras.tree.flatten(inputs)):
        raise NotBuiltError(
            f"The inputs of {model.name!r} are not known before its first call, and these `inputs` don't tell their "
            "shapes. Call it on a batch of arrays once, or attach with `input_shape=(height, width, channels)`."
        )
    shapes = keras.tree.map_structure(lambda tensor: (None, *tensor.shape[1:]), inputs)
    found = _from_shapes(shapes, keras.config.floatx(), fixed=False)
    tensors = zip(found.specs, found.flatten(inputs), strict=True)
    return ModelInputs(found.structure, tuple(replace(spec, dtype=_type_of(tensor)) for spec, tensor in tensors))


def image_inputs(model: keras.Model) -> ModelInputs:
    """Return the inputs of a model, which must be one gray or color image.

    Raises:
        InputShapeError: if they are something else.
    """
    inputs = model_inputs(model)
    shapes = [spec.shape for spec in inputs.specs] if inputs else []
    if inputs is None or len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] not in (1, 3):
        received = ", ".join(str(shape[1:]) for shape in shapes) or "unknown inputs"
        raise InputShapeError(
            "The model must take one image, (height, width, channels) with 1 or 3 channels. "
            f"Received: a model that takes {received}. Use `visualcnn_tf.attach` in Python."
        )
    return inputs


def shaped_inputs(model: keras.Model, input_shape: Shapes) -> ModelInputs:
    """Return the inputs of a model that was never built, or whose unknown sizes the caller fixes.

    Args:
        model: a Keras model, built or not.
        input_shape: shape of one example, without the batch, ``(28, 28, 1)``, or a list or dict of them.

    Raises:
        InvalidArgumentError: for a malformed ``input_shape``, or one that contradicts the model.
    """
    known = model_inputs(model)
    shapes = _with_batch(input_shape)
    if known is None:
        return _from_shapes(shapes, keras.config.floatx(), fixed=True)
    flat = ModelInputs(shapes, known.specs).flatten(shapes) if isinstance(shapes, Mapping) else _flat_shapes(shapes)
    if len(flat) != len(known.specs):
        raise bad_value("input_shape", f"a shape for each of the inputs {quoted(known.names)}", input_shape)
    specs = []
    for spec, shape in zip(known.specs, flat, strict=True):
        required = spec.shape if spec.fixed else (None,) * len(spec.shape)
        if not tf.TensorShape(shape).is_compatible_with(required):
            raise bad_value("input_shape", f"compatible with the model's {shape_text(spec.shape)}", input_shape)
        merged = tuple(a or b for a, b in zip(shape, spec.shape, strict=True))
        specs.append(ModelInput(spec.name, merged, spec.dtype))
    return ModelInputs(known.structure, tuple(specs))


def _built_inputs(model: keras.Model) -> ModelInputs | None:
    """Return the inputs of the shapes that a subclassed model was built on."""
    if not model.built:
        return None
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None:
        return None
    of_any_batch = _map_shapes(lambda shape: (None, *shape[1:]), shapes)
    return _from_shapes(of_any_batch, model.compute_dtype, fixed=False)


def _from_shapes(shapes: Any, dtype: str, fixed: bool) -> ModelInputs:
    """Return inputs of a shape, or of a list or dict of shapes."""
    structure: Any
    if isinstance(shapes, Mapping):
        names, flat = list(shapes), list(shapes.values())
        structure = dict.fromkeys(names, 0)
    elif _is_shape(shapes):
        names, flat, structure = ["inputs"], [shapes], 0
    else:
        flat = list(shapes)
        names, structure = [f"input_{i}" for i in range(len(flat))], [0] * len(flat)
    specs = tuple(ModelInput(name, shape, dtype, fixed) for name, shape in zip(names, flat, strict=True))
    return ModelInputs(structure, specs)


def _type_of(tensor: Any) -> str:
    """Return the type in which a model gets a tensor: Keras converts floats alone."""
    dtype = tf.as_dtype(tensor.dtype)
    return keras.config.floatx() if dtype.is_floating else dtype.name  # type: ignore[no-any-return]


def _with_batch(input_shape: Shapes) -> Any:
    """Return a caller's shape, or list or dict of shapes, with the batch in front of each."""
    error = bad_value(
        "input_shape", "a shape without the batch, such as (224, 224, 3), or a list or dict of them", input_shape
    )

    def with_batch(shape: Shape) -> Shape:
        if any(n is not None and n < 1 for n in shape):
            raise error
        return (None, *shape)

    if not isinstance(input_shape, (tuple, list, Mapping)) or not input_shape:
        raise error
    try:
        return _map_shapes(with_batch, input_shape)
    except TypeError:
        raise error from None


def _is_shape(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(n is None or isinstance(n, int) for n in value)


def _map_shapes(function: Callable[[Shape], Any], shapes: Any) -> Any:
    """Return the results of a function for each shape, in the same structure."""
    if _is_shape(shapes):
        return function(tuple(shapes))
    if isinstance(shapes, Mapping):
        return {key: _map_shapes(function, value) for key, value in shapes.items()}
    return [_map_shapes(function, value) for value in shapes]


def _flat_shapes(shapes: Shapes) -> Sequence[Shape]:
    found: list[Shape] = []
    _map_shapes(found.append, shapes)
    return found
